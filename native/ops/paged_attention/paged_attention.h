// Causal attention over keys and values in pages, for prompts, chunks of prompts and decoding alike.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct PagedAttentionParams {
  TensorView q;  // [T, Hq, Dh], f32 | bf16 | f16, rows strided; Dh and Dv are multiples of 16, 16 to 512
  TensorView
      k_pages;  // [P, Ps, Hkv, Dh], f32 | bf16 | f16 | i8 | fp8e4m3, rows strided; Hq: a multiple of Hkv
  TensorView v_pages;        // [P, Ps, Hkv, Dv], dtype of k_pages, rows strided
  TensorView page_table;     // [R, Pmax], i32, rows strided: pages of each request slot
  TensorView rows;           // [B], i32: request slot of each sequence
  TensorView cu_seqlens_q;   // [B + 1], i32: first query of each sequence, then T
  TensorView context_lens;   // [B], i32: keys of each sequence; its queries are the last of them
  TensorView query_offsets;  // [B], i32; optional: how much farther back the queries stand
  TensorView plan;           // [bytes], u8, from attention_plan; optional; aligned to 16
  TensorView lse;            // [T, Hq], f32, rows strided; optional; written
  TensorView sinks;          // [Hq], f32; optional: one more score of each head, without a value
  TensorView tree_mask;      // [T, W], i32, rows strided; optional: core/attention_limits.h
  TensorView block_mask;     // [T, 1 | Hkv, W], i32, rows strided; optional: core/attention_limits.h
  TensorView k_scales;       // [P, Ps, Hkv], f32, rows strided: with i8 and fp8e4m3 only (core/kv_codes.h)
  TensorView v_scales;       // the same of v_pages
  TensorView out;            // [T, Hq, Dv], f32 | bf16 | f16, rows strided
  float scale;               // of the scores
  float softcap;             // scores are softcap tanh(score / softcap); 0: as they are
  int32_t window;            // keys a query sees up to its own position; 0: all
  int32_t max_queries;       // of a sequence; 0: not known
};

/// As TypeScript passes them.
inline auto fields(PagedAttentionParams& p) {
  return in_order(p.q, p.k_pages, p.v_pages, p.page_table, p.rows, p.cu_seqlens_q, p.context_lens,
                  optional(p.query_offsets), optional(p.plan), optional(p.lse), optional(p.sinks),
                  optional(p.tree_mask), optional(p.block_mask), optional(p.k_scales), optional(p.v_scales),
                  p.out, p.scale, p.softcap, p.window, p.max_queries);
}

void check(const PagedAttentionParams& p, Check& c);

}  // namespace warploop
