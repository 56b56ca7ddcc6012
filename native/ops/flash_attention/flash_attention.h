// Attention over contiguous keys and values of variable-length sequences.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct FlashAttentionParams {
  TensorView q;  // [T, Hq, Dh], f32 | bf16 | f16, rows strided; Dh and Dv are multiples of 16, 16 to 512
  TensorView k;  // [S, Hkv, Dh], f32 | bf16 | f16, rows strided; Hq is a multiple of Hkv
  TensorView v;  // [S, Hkv, Dv], dtype of k, rows strided
  TensorView cu_seqlens_q;  // [B + 1], i32: first query of each sequence, then T; optional: one sequence
  TensorView
      cu_seqlens_k;       // [B + 1], i32: first key of each sequence, then its end; present like cu_seqlens_q
  TensorView lse;         // [T, Hq], f32; optional; written
  TensorView sinks;       // [Hq], f32; optional: one more score of each head, without a value
  TensorView tree_mask;   // [T, W], i32, rows strided; optional: core/attention_limits.h
  TensorView block_mask;  // [T, 1 | Hkv, W], i32, rows strided; optional: core/attention_limits.h
  TensorView out;         // [T, Hq, Dv], f32 | bf16 | f16, rows strided
  float scale;            // of the scores
  float softcap;          // scores are softcap tanh(score / softcap); 0: as they are
  int32_t window;         // keys a query sees up to its own position; 0: all
  bool causal;            // query i sees no key beyond i + Lk - Lq
};

/// As TypeScript passes them.
inline auto fields(FlashAttentionParams& p) {
  return in_order(p.q, p.k, p.v, optional(p.cu_seqlens_q), optional(p.cu_seqlens_k), optional(p.lse),
                  optional(p.sinks), optional(p.tree_mask), optional(p.block_mask), p.out, p.scale, p.softcap,
                  p.window, p.causal);
}

void check(const FlashAttentionParams& p, Check& c);

}  // namespace warploop
