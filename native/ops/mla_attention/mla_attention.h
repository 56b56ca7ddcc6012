// Causal attention of Multi-head Latent Attention in absorbed form: over latents in pages, for prompts,
// chunks of prompts and decoding alike; over all tokens that a query sees, or over chosen ones.
#pragma once
#include "core/attention_limits.h"
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct MlaAttentionParams {
  TensorView q;  // [T, Hq, R + Dr], f32 | bf16 | f16, rows strided; R and R + Dr are multiples of 16, R up to
                 // 512, R + Dr up to 576
  TensorView latent_pages;   // [P, Ps, R + Dr], f32 | bf16 | f16, rows strided: keys, values in the first R;
                             // or those first R as i8 | fp8e4m3 (core/kv_codes.h)
  TensorView latent_scales;  // [P, Ps, ceil(R / 128)], f32, rows strided: of codes only
  TensorView rotated_pages;  // [P, Ps, Dr], f32 | bf16 | f16, rows strided: the rest of the keys beside codes
  TensorView page_table;     // [R, Pmax], i32, rows strided: pages of each request slot
  TensorView rows;           // [B], i32: request slot of each sequence
  TensorView cu_seqlens_q;   // [B + 1], i32: first query of each sequence, then T
  TensorView context_lens;   // [B], i32: latents of each sequence; its queries are the last of them
  TensorView query_offsets;  // [B], i32; optional: how much farther back the queries stand
  TensorView plan;           // [bytes], u8, from attention_plan with `latent`; optional; aligned to 16
  TensorView indices;        // [T, topK], i32, rows strided; optional: the tokens that each query sees; of a
                             // query at position p the first min(topK, p + 1) are read; -1: none
  TensorView lse;            // [T, Hq], f32, rows strided; optional; written
  TensorView out;            // [T, Hq, R], f32 | bf16 | f16, rows strided
  int32_t latent;            // R
  float scale;               // of the scores
  int32_t max_queries;       // of a sequence; 0: not known

  static constexpr int32_t window = 0;  // none; for what reads the sequences of paged_attention, too
};

/// As TypeScript passes them.
inline auto fields(MlaAttentionParams& p) {
  return in_order(p.q, p.latent_pages, optional(p.latent_scales), optional(p.rotated_pages), p.page_table,
                  p.rows, p.cu_seqlens_q, p.context_lens, optional(p.query_offsets), optional(p.plan),
                  optional(p.indices), optional(p.lse), p.out, p.latent, p.scale, p.max_queries);
}

void check(const MlaAttentionParams& p, Check& c);

}  // namespace warploop
