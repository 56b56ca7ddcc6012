// What a build with WARPLOOP_TRAP says of a barrier in shared memory that never completes
// (device/stuck_barrier.cuh). Without it a wrong barrier hangs the GPU, and nothing is said.
#pragma once
#include <cstdint>
#include <string>

namespace warploop::cuda {

/// One per kernel, in host memory that the GPU writes: what is in its own memory is lost with the trap.
struct StuckBarrier {
  uint32_t raised;   // 0: none
  uint32_t parity;   // that a thread has waited for
  uint32_t address;  // of the barrier in the shared memory of its block
  int32_t line;      // of the call of mbarrier_wait
  uint32_t thread;
  uint32_t block[3];
};

#ifdef WARPLOOP_TRAP
/// A new record; it stays. `kernel`: text that has its name. Throws Error(execution) when CUDA cannot give
/// the memory.
StuckBarrier* new_stuck_barrier(const char* kernel);
/// ": mbarrier_wait ..." when a barrier was stuck, else empty.
std::string stuck_barrier_text();
#else
inline const char* stuck_barrier_text() { return ""; }
#endif

}  // namespace warploop::cuda
