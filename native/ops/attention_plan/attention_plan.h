// The plan of paged attention, or of that over latents: its sequences, verified, and on a GPU cut into the
// items of its kernels. Made once per step for all layers that are alike.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct AttentionPlanParams {
  TensorView page_table;     // [R, Pmax], i32, rows strided; nothing of it is read
  TensorView rows;           // [B], i32: row of the page table of each sequence
  TensorView cu_seqlens_q;   // [B + 1], i32: first query of each sequence, then T
  TensorView context_lens;   // [B], i32: keys of each sequence; its queries are the last of them
  TensorView query_offsets;  // [B], i32; optional: how much farther back the queries stand
  TensorView out;            // [bytes], u8, aligned to 16; so many bytes as core/attention_plan.h says
  int32_t num_queries;       // T
  int32_t num_heads;         // Hq
  int32_t num_kv_heads;      // Hkv
  int32_t head_dim;          // Dh
  int32_t value_dim;         // Dv
  int32_t latent;            // R of mla_attention, which is Dv there; 0: a plan of paged_attention
  int32_t page_size;         // Ps
  int32_t window;            // keys a query sees up to its own position; 0: all
  int32_t max_queries;       // of a sequence; 0: not known
  int32_t dtype;     // DType of q, one of the floats; its rows and those of the pages are aligned to 16 bytes
  int32_t kv_dtype;  // DType of the pages: one of the floats, i8 or fp8e4m3
};

/// As TypeScript passes them.
inline auto fields(AttentionPlanParams& p) {
  return in_order(p.page_table, p.rows, p.cu_seqlens_q, p.context_lens, optional(p.query_offsets), p.out,
                  p.num_queries, p.num_heads, p.num_kv_heads, p.head_dim, p.value_dim, p.latent, p.page_size,
                  p.window, p.max_queries, p.dtype, p.kv_dtype);
}

void check(const AttentionPlanParams& p, Check& c);

}  // namespace warploop
