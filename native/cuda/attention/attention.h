// Attention over keys and values in pages on the GPU: what flash_attention, paged_attention and
// attention_plan share. The ops say where their sequences are described; reading and verifying that, on the
// device, is part of the plan.
#pragma once
#include "core/tensor_view.h"
#include "cuda/cuda_context.h"

namespace warploop::cuda {

/// One call. The queries of a sequence are the last of its keys, unless query_offsets moves them; their rows
/// are PACKED: row = i * G + (head within the group), G = Hq / Hkv, so that the rows of a KV head form one
/// matrix.
struct AttentionProblem {
  TensorView q;  // [T, Hq, Dh], f32 | bf16 | f16, rows strided; sizes as in core/attention_limits.h
  TensorView k;  // [P, Ps, Hkv, Dh], a float or codes, rows strided
  TensorView v;  // [P, Ps, Hkv, Dv], dtype of k, rows strided
  TensorView k_scales, v_scales;  // [P, Ps, Hkv], f32, rows strided; of codes only: core/kv_codes.h
  bool latent;  // v is the first columns of k, one KV head: what is read for k is v, too; Dh up to 576
  // Latents as codes: k and v are both their first Dv columns, k_scales is [P, Ps, groups of Dv], and here is
  // what is behind them, [P, Ps, 1, Dh - Dv], a float, rows strided.
  TensorView rotated;
  TensorView out;         // [T, Hq, Dv], f32 | bf16 | f16, rows strided
  TensorView lse;         // [T, Hq], f32; optional
  TensorView sinks;       // [Hq], f32; optional
  TensorView tree_mask;   // [T, W], i32, rows strided; optional, not with query_offsets
  TensorView block_mask;  // [T, Hkv, W], i32, rows strided, of heads, too; optional

  // Which sequences there are, in device memory.
  int32_t num_sequences;
  const int32_t* cu_seqlens_q;   // [B + 1]; null: one sequence of all queries
  const int32_t* cu_seqlens_k;   // [B + 1], keys without pages; null: all keys (when page_table is null too)
  const int32_t* context_lens;   // [B], keys in pages
  const int32_t* table_rows;     // [B], keys in pages: row of the page table
  const int32_t* query_offsets;  // [B], keys in pages; null: all 0
  int32_t max_queries;           // of a sequence; 0: not known
  TensorView page_table;         // [R, Pmax]; absent: page i of a sequence is its first page + i
  TensorView indices;            // [T, topK], keys in pages: tokens that each query sees, -1: none; optional

  float scale;     // of the scores
  float softcap;   // 0: none
  int32_t window;  // 0: none
  bool causal;

  TensorView plan;  // bytes; absent: the call makes one of its own, in the workspace

  // What to report when these are unusable.
  FaultSite bad_queries, bad_count, bad_keys, bad_offset, bad_total, bad_row, bad_page, bad_plan, bad_item,
      bad_index;
};

/// What is cut into tiles: the sequences, or with indices each query by itself.
constexpr int64_t num_ranges(const AttentionProblem& p) { return p.indices ? p.q.sizes[0] : p.num_sequences; }

/// With the best of the kernels that can run this and that WARPLOOP_KERNEL lets `op` take.
void run_attention(OpId op, const AttentionProblem& p, CudaContext& context);
/// Makes p.plan for such calls of `op`. Of q, k, v and out only dtypes and sizes are looked at; P is not
/// known.
void make_attention_plan(OpId op, const AttentionProblem& p, CudaContext& context);

}  // namespace warploop::cuda
