// Compiled once per instruction set (WARPLOOP_ISA is its name): the op table of that set.
#include "cpu/cpu_device.h"

namespace warploop {

#define WARPLOOP_OP(name, Name, js) struct Name##Params;
#include "ops/list.h"
#undef WARPLOOP_OP

namespace cpu::WARPLOOP_ISA {

#define WARPLOOP_OP(name, Name, js) void name(const Name##Params&, CpuContext&);
#include "ops/list.h"
#undef WARPLOOP_OP

const OpTable& ops() {
  static constexpr OpTable kTable = {
#define WARPLOOP_OP(name, Name, js)                                                                 \
  [](const void* params, Executor& executor) {                                                      \
    name(*static_cast<const Name##Params*>(params), static_cast<CpuExecutor&>(executor).context()); \
  },
#include "ops/list.h"
#undef WARPLOOP_OP
  };
  return kTable;
}

}  // namespace cpu::WARPLOOP_ISA
}  // namespace warploop
