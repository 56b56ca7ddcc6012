// cp.async: copies from global to shared memory that run beside the thread (sm_80). A copy may land at any
// time between its issue and the wait for its group; until then the destination holds nothing of use. PTX
// ISA 9.7.9.25.3 (cp.async).
#pragma once
#include "cuda/device/platform.cuh"

#ifdef WARPLOOP_SIMT
#include "simt/device/async_copy.h"
#else

namespace warploop::cuda {

/// Copies 16 bytes past L1, or writes 16 zero bytes when not `valid` (then `global` is not read). Both
/// addresses aligned to 16; `shared` from shared_address.
WARPLOOP_DEVICE void copy_async_16(uint32_t shared, const void* global, bool valid = true) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
}
/// The same for 4 bytes, aligned to 4.
WARPLOOP_DEVICE void copy_async_4(uint32_t shared, const void* global, bool valid = true) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(global), "r"(valid ? 4 : 0)
               : "memory");
}
/// Closes the group of this thread's copies since the last commit; an empty group is allowed.
WARPLOOP_DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `kPending` of this thread's groups are under way. Other threads see the data after a
/// barrier.
template <int kPending>
WARPLOOP_DEVICE void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace warploop::cuda
#endif
