// The sequences of ops that keep a state for each (causal_conv1d, ssm_scan): read and verified on the device,
// because the host of a recorded graph does not know them.
#pragma once
#include "cuda/cuda_context.h"
#include "cuda/device/fault.cuh"

namespace warploop::cuda {

/// A member of the arguments of a kernel.
struct SlotSequences {
  const int32_t *cu_seqlens_q, *context_lens, *state_indices;
  int64_t T, B, places;
  FaultSite bad_total, bad_range, bad_length, bad_place;
};

/// Of an op whose Params have x, state, state_indices, cu_seqlens_q and context_lens. `bad_place`: the text
/// for a place outside of the state, with the op's letter for their number.
template <class Params>
SlotSequences slot_sequences_of(const Params& p, OpId op, const char* bad_place, const CudaContext& context) {
  const auto site = [&](const char* text) { return context.fault_site(op, text); };
  return {p.cu_seqlens_q.template as<int32_t>(),
          p.context_lens.template as<int32_t>(),
          p.state_indices.template as<int32_t>(),
          p.x.size(0),
          p.context_lens.size(0),
          p.state.size(0),
          site("the sequences have the tokens [{value}, {index}), the step has [0, T={limit})"),
          site("cuSeqlensQ[{index}..] = {value}, {column} is no range within [0, T={limit}]"),
          site("contextLens[{index}] = {value} is below the {limit} tokens of this step"),
          site(bad_place)};
}

/// Tokens [first, end) of the step.
struct SlotSequence {
  int64_t first, end;
  int64_t place;  // in state; -1: none
  bool begins;    // from zeros: the state is not read
  bool is_valid;
};

/// Sequence b. Raises a fault if it is not valid.
WARPLOOP_DEVICE SlotSequence read_slot_sequence(const SlotSequences& s, int64_t b) {
  const SlotSequence none{0, 0, -1, true, false};
  const int64_t first = s.cu_seqlens_q[b], end = s.cu_seqlens_q[b + 1], count = end - first;
  if (first < 0 || end < first || end > s.T) return raise_fault(s.bad_range, first, s.T, b, end), none;
  const int64_t length = s.context_lens[b], place = s.state_indices[b];
  if (length < count) return raise_fault(s.bad_length, length, count, b), none;
  if (place < -1 || place >= s.places) return raise_fault(s.bad_place, place, s.places, b), none;
  return {first, end, place, place == -1 || length == count, true};
}

/// Raises a fault if the sequences have other tokens than the step. By one thread of the grid.
WARPLOOP_DEVICE void verify_slot_total(const SlotSequences& s) {
  if (s.cu_seqlens_q[0] != 0 || s.cu_seqlens_q[s.B] != s.T)
    raise_fault(s.bad_total, s.cu_seqlens_q[0], s.T, s.cu_seqlens_q[s.B]);
}

}  // namespace warploop::cuda
