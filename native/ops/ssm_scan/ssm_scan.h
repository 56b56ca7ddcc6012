// The selective state space recurrence of Mamba-2 over the tokens of each sequence, whose state is kept
// between steps.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

/// Numbers that a channel keeps.
inline constexpr int kMaxSsmState = 256;

/// A sequence begins from zeros, and not from its state, where contextLens says that it has no tokens but
/// those of this step, and where it has no place in `state`.
///
/// States have the channels of a head as their last axis: what a channel keeps is summed without an exchange
/// between lanes, and neighbouring lanes read neighbours.
struct SsmScanParams {
  TensorView x;             // [T, H, P], f32 | bf16 | f16, rows strided
  TensorView dt;            // [T, H], dtype of x, rows strided: steps before bias and softplus
  TensorView a;             // [H], f32, packed: decay of a step of 1, negative
  TensorView b;             // [T, G, N], dtype of x, rows strided; G a divisor of H, N at most kMaxSsmState
  TensorView c;             // [T, G, N], dtype of x, rows strided
  TensorView skip;          // [H], f32, packed: factor of x in the result; optional
  TensorView dt_bias;       // [H], f32, packed; optional
  TensorView cu_seqlens_q;  // [B + 1], i32, packed: first token of each sequence, then T
  TensorView context_lens;  // [B], i32, packed: tokens of each sequence after this step
  TensorView state;         // [S, H, N, P], f32, rows strided; read and written
  TensorView
      state_indices;  // [B], i32, packed: place in state, none twice; -1: begins from zeros, stores nothing
  TensorView out;     // [T, H, P], dtype of x, rows strided; must not overlap what is read
  float dt_min, dt_max;  // limits of a step after softplus, 0 <= dt_min <= dt_max
};

/// As TypeScript passes them.
inline auto fields(SsmScanParams& p) {
  return in_order(p.x, p.dt, p.a, p.b, p.c, optional(p.skip), optional(p.dt_bias), p.cu_seqlens_q,
                  p.context_lens, p.state, p.state_indices, p.out, p.dt_min, p.dt_max);
}

void check(const SsmScanParams& p, Check& c);

}  // namespace warploop
