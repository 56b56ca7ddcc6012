// The sequences of ops that keep a state for each (causal_conv1d, ssm_scan), as they read and verify them.
// Params of all have x, state, state_indices, cu_seqlens_q and context_lens.
#pragma once
#include "core/error.h"
#include "cpu/cpu_context.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Tokens [first, first + count) of the step.
struct SlotSequence {
  int64_t first, count;
  int64_t place;  // in state; -1: none
  bool begins;    // from zeros: the state is not read
};

/// Sequence b. `places`: the letter of their number in texts of errors. Throws Error(execution).
template <class Params>
SlotSequence read_slot_sequence(const Params& p, char places, int64_t b) {
  const int64_t T = p.x.size(0), size = p.state.size(0);
  const int32_t* cu = p.cu_seqlens_q.template as<int32_t>();
  const int64_t first = cu[b], end = cu[b + 1], count = end - first;
  if (first < 0 || end < first || end > T)
    fail_execution("cuSeqlensQ[", b, "..] = ", first, ", ", end, " is no range within [0, T=", T, "]");
  const int64_t length = p.context_lens.template as<int32_t>()[b];
  if (length < count)
    fail_execution("contextLens[", b, "] = ", length, " is below the ", count, " tokens of this step");
  const int64_t place = p.state_indices.template as<int32_t>()[b];
  if (place < -1 || place >= size)
    fail_execution("stateIndices[", b, "] = ", place, " is outside [-1, ", places, "=", size, ")");
  return {first, count, place, place == -1 || length == count};
}

/// All of them. Throws Error(execution).
template <class Params>
void verify_slot_sequences(const Params& p, char places) {
  const int64_t B = p.context_lens.size(0), T = p.x.size(0);
  const int32_t* cu = p.cu_seqlens_q.template as<int32_t>();
  if (cu[0] != 0 || cu[B] != T)
    fail_execution("the sequences have the tokens [", cu[0], ", ", cu[B], "), the step has [0, T=", T, ")");
  for (int64_t b = 0; b < B; b++) read_slot_sequence(p, places, b);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
