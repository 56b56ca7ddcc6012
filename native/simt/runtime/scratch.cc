// What is looked at after every op: the scratch memory of its stream, and what lies behind tensors.
#include "cuda/scratch.h"

#include <algorithm>

#include "core/error.h"
#include "cuda/cuda_check.h"
#include "cuda/cuda_executor.h"
#include "simt/runtime/context.h"
#include "simt/runtime/control.h"
#include "simt/runtime/memory.h"

namespace warploop::cuda {

Scratch& scratch_of_new_streams() {
  static Scratch scratch;
  return scratch;
}

void CudaExecutor::check_scratch() {
  parts_.finish();
  auto* bytes = static_cast<std::byte*>(scratch_->data());
  const bool is_part = simt::runtime::runs_last_blocks();
  const auto check = [bytes, is_part, scratch = layout_] {
    const auto is_all = [&](unsigned char value, size_t at, size_t count) {
      return std::all_of(bytes + at, bytes + at + count, [=](std::byte b) { return b == std::byte{value}; });
    };
    if (!is_all(Scratch::kGuard, scratch.counters_at() + scratch.counter_bytes(), Scratch::kGuardBytes))
      fail_execution("simt: the op has written behind the ", scratch.num_counters, " counters");
    std::byte* counters = bytes + scratch.counters_at();
    if (is_part)
      std::fill_n(counters, scratch.counter_bytes(), std::byte{0});  // the other blocks did not come
    if (!is_all(0, scratch.counters_at(), scratch.counter_bytes()))
      fail_execution("simt: the op has left a counter that is not zero");
    if (const size_t block = simt::runtime::find_written_behind())
      fail_execution("simt: the op has written behind a tensor of ", block, " bytes");
  };
  if (const cudaError_t status = simt::runtime::put(stream_, check)) require(status, "check_scratch");
}

}  // namespace warploop::cuda
