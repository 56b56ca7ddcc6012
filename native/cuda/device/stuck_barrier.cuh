// With WARPLOOP_TRAP: a wait for a barrier that never completes ends the kernel and says where it was
// (cuda/stuck_barrier.h).
#pragma once
#include "cuda/device/platform.cuh"
#include "cuda/stuck_barrier.h"

namespace warploop::cuda {

/// One per .cu file. `launch` names the record of the kernel that it starts.
struct StuckState {
  StuckBarrier* record;
  uint32_t taken;  // by the thread that fills the record
};
static __device__ StuckState stuck_state;

/// Polls until a barrier counts as stuck: about a second, and no wait of a kernel takes a millisecond.
constexpr uint32_t kMostPolls = 1u << 24;

/// mbarrier_wait with an end. One block of PTX, whose other way out is an exit: a loop or a call that the
/// compiler sees costs the registers that wgmma needs, and ptxas would serialise it (C7512).
WARPLOOP_DEVICE void wait_or_trap(uint32_t barrier, uint32_t parity, int line) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      ".reg .b32 polls, word;\n"
      ".reg .b64 record;\n"
      "mov.b32 polls, 0;\n"
      "again:\n"
      "mbarrier.test_wait.parity.shared::cta.b64 p, [%0], %1;\n"
      "@p bra over;\n"
      "add.u32 polls, polls, 1;\n"
      "setp.le.u32 p, polls, %4;\n"
      "@p bra again;\n"
      "atom.global.exch.b32 word, [%2 + 8], 1;\n"  // StuckState::taken
      "setp.ne.u32 p, word, 0;\n"
      "other:\n"  // the trap of the one thread ends the others, too
      "@p bra other;\n"
      "ld.global.b64 record, [%2];\n"
      "st.global.b32 [record + 4], %1;\n"
      "st.global.b32 [record + 8], %0;\n"
      "st.global.b32 [record + 12], %3;\n"
      "mov.u32 word, %%tid.x;\n"
      "st.global.b32 [record + 16], word;\n"
      "mov.u32 word, %%ctaid.x;\n"
      "st.global.b32 [record + 20], word;\n"
      "mov.u32 word, %%ctaid.y;\n"
      "st.global.b32 [record + 24], word;\n"
      "mov.u32 word, %%ctaid.z;\n"
      "st.global.b32 [record + 28], word;\n"
      "fence.acq_rel.sys;\n"
      "mov.b32 word, 1;\n"
      "st.global.b32 [record], word;\n"
      "fence.acq_rel.sys;\n"
      "trap;\n"
      "exit;\n"
      "over:\n"
      "}" ::"r"(barrier),
      "r"(parity), "l"(&stuck_state), "r"(line), "n"(kMostPolls)
      : "memory");
  static_assert(offsetof(StuckState, taken) == 8);
  static_assert(offsetof(StuckBarrier, raised) == 0 && offsetof(StuckBarrier, parity) == 4);
  static_assert(offsetof(StuckBarrier, address) == 8 && offsetof(StuckBarrier, line) == 12);
  static_assert(offsetof(StuckBarrier, thread) == 16 && offsetof(StuckBarrier, block) == 20);
}

}  // namespace warploop::cuda
