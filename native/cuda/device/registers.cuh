// How the registers of a block are divided among its warpgroups (sm_90a). PTX ISA: setmaxnreg.
//
// A kernel starts with the same number for all threads (65536 / (threads blocks), rounded down to 8, with
// __launch_bounds__(threads, blocks); LaunchShape says `blocks` again). The producer warpgroup gives some
// back, then the consumers take them; taking waits until there are enough.
#pragma once
#include "cuda/device/platform.cuh"

namespace warploop::cuda {

constexpr bool is_register_count(int n) { return n % 8 == 0 && n >= 24 && n <= 256; }

}  // namespace warploop::cuda

#ifdef WARPLOOP_SIMT
#include "simt/device/registers.h"
#else

namespace warploop::cuda {

/// Registers per thread from here on; all warps of a warpgroup call the same one.
template <int kCount>
WARPLOOP_DEVICE void set_registers_up() {
  static_assert(is_register_count(kCount));
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
WARPLOOP_DEVICE void set_registers_down() {
  static_assert(is_register_count(kCount));
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}

}  // namespace warploop::cuda
#endif
