// Short depthwise causal convolution over the tokens of each sequence, whose last inputs are kept between
// steps.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

/// Columns of the weight: the taps of a channel.
inline constexpr int kMinConvTaps = 2, kMaxConvTaps = 8;

enum class ConvActivation : int32_t { none, silu, count };

/// A sequence begins from zeros, and not from its state, where contextLens says that it has no tokens but
/// those of this step, and where it has no place in `state`.
struct CausalConv1dParams {
  TensorView x;             // [T, D], f32 | bf16 | f16, rows strided
  TensorView weight;        // [D, W], f32, packed; W in [kMinConvTaps, kMaxConvTaps], the newest input last
  TensorView bias;          // [D], f32, packed; optional
  TensorView cu_seqlens_q;  // [B + 1], i32, packed: first token of each sequence, then T
  TensorView context_lens;  // [B], i32, packed: tokens of each sequence after this step
  TensorView state;  // [N, W - 1, D], dtype of x, rows strided; the oldest input first; read and written
  TensorView
      state_indices;  // [B], i32, packed: place in state, none twice; -1: begins from zeros, stores nothing
  TensorView out;     // [T, D], dtype of x, rows strided; must not overlap x
  ConvActivation activation;
};

/// As TypeScript passes them.
inline auto fields(CausalConv1dParams& p) {
  return in_order(p.x, p.weight, optional(p.bias), p.cu_seqlens_q, p.context_lens, p.state, p.state_indices,
                  p.out, p.activation);
}

void check(const CausalConv1dParams& p, Check& c);

}  // namespace warploop
