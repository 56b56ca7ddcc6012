// The op table of the CUDA device, one row per op of ops/list.h. The launchers are weak symbols, because a
// build for work on a few kernels (WARPLOOP_KERNELS) leaves the others out: their rows are null.
#include "cuda/cuda_device.h"
#include "cuda/cuda_executor.h"
#include "cuda/profiler_range.h"

namespace warploop {

#define WARPLOOP_OP(name, Name, js) struct Name##Params;
#include "ops/list.h"
#undef WARPLOOP_OP

namespace cuda {

#define WARPLOOP_OP(name, Name, js) [[gnu::weak]] void name(const Name##Params&, CudaContext&);
#include "ops/list.h"
#undef WARPLOOP_OP

namespace {

template <OpId op, class Params, void (*launcher)(const Params&, CudaContext&)>
void run(const void* params, Executor& executor) {
  const ProfilerRange range(name_of(op));
  auto& cuda_executor = static_cast<CudaExecutor&>(executor);
  launcher(*static_cast<const Params*>(params), cuda_executor.context());
#ifdef WARPLOOP_SIMT
  cuda_executor.check_scratch();
#endif
}

}  // namespace

const OpTable& CudaDevice::ops() const {
  static const OpTable kTable = {
#define WARPLOOP_OP(name, Name, js) name ? run<OpId::name, Name##Params, name> : nullptr,
#include "ops/list.h"
#undef WARPLOOP_OP
  };
  return kTable;
}

}  // namespace cuda
}  // namespace warploop
