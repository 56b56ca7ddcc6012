// Attention over keys and values in pages: the arithmetic that flash_attention and paged_attention share. The
// ops read and verify the tensors that describe their sequences; everything from a sequence on is done here.
#pragma once
#include "core/attention_limits.h"
#include "core/tensor_view.h"
#include "cpu/cpu_context.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// One sequence of the call. Query i stands at position first_position + i among its keys.
struct AttentionSequence {
  int64_t first_query;     // its row of q
  int64_t num_queries;     // Lq
  int64_t num_keys;        // Lk
  int64_t first_position;  // may be negative or behind the keys
  const int32_t* pages;    // page i holds the tokens [i Ps, (i + 1) Ps); null: page i is first_page + i
  int64_t first_page;
  // Of a query that sees chosen tokens: [columns], verified; key j is number j of those that are not -1.
  // Null: key j is token j.
  const int32_t* tokens = nullptr;
  int64_t columns = 0;
};

struct AttentionProblem {
  TensorView q;  // [T, Hq, Dh], f32 | bf16 | f16, rows strided
  TensorView k;  // [P, Ps, Hkv, Dh], a float or codes, rows strided; sizes as in core/attention_limits.h
  TensorView v;  // [P, Ps, Hkv, Dv], dtype of k, rows strided
  TensorView k_scales;  // [P, Ps, Hkv], f32, rows strided; of codes only: core/kv_codes.h
  TensorView v_scales;
  bool latent;  // v is the first columns of k, one KV head: what is read for k is v, too; Dh up to 576
  // Latents as codes: k and v are both their first Dv columns, k_scales is [P, Ps, groups of Dv], and here is
  // what is behind them, [P, Ps, 1, Dh - Dv], a float, rows strided.
  TensorView rotated;
  TensorView out;         // [T, Hq, Dv], f32 | bf16 | f16, rows strided
  TensorView lse;         // [T, Hq], f32; optional
  TensorView sinks;       // [Hq], f32; optional
  TensorView tree_mask;   // [T, W], i32, rows strided; optional, of queries that are the last keys
  TensorView block_mask;  // [T, Hkv, W], i32, rows strided, of heads, too; optional
  float scale;
  float softcap;   // 0: none
  int64_t window;  // 0: none
  bool causal;
  int64_t num_sequences;  // B, at most kMaxAttentionSequences
  const void* source;     // first argument of sequence()
  /// The sequence b, verified: its rows of q and its pages (apart from the page ids) exist. Throws
  /// Error(execution).
  AttentionSequence (*sequence)(const void* source, int64_t b);
};

void attention(const AttentionProblem& p, CpuContext& context);

}  // namespace warploop::cpu::WARPLOOP_ISA
