// What:      out[i, h] = softmax over the visible keys j of (scale * q[i, h] . k[j, h']) times v[j, h'],
//            h' = h Hkv / Hq
// Steps:     as pagedAttention's, a plan and what works it off (cuda/attention/), with every key a page of
//            its own; on Hopper a tile of keys is one copy
// Numerics:  see cuda/attention/: a row's bits do not depend on what is computed beside it
// Source:    Dao: FlashAttention-2, arXiv 2307.08691
#include "ops/flash_attention/flash_attention.h"

#include "core/attention_limits.h"
#include "cuda/attention/attention.h"

namespace warploop::cuda {

namespace {

AttentionProblem problem_of(const FlashAttentionParams& p, const CudaContext& context) {
  AttentionProblem problem{};
  problem.q = p.q;
  problem.k = as_pages(p.k);
  problem.v = as_pages(p.v);
  problem.out = p.out;
  problem.lse = p.lse;
  problem.sinks = p.sinks;
  problem.tree_mask = p.tree_mask;
  problem.block_mask = rows_of_heads(p.block_mask);
  problem.num_sequences = p.cu_seqlens_q ? static_cast<int32_t>(p.cu_seqlens_q.size(0)) - 1 : 1;
  problem.cu_seqlens_q = p.cu_seqlens_q.as<int32_t>();
  problem.cu_seqlens_k = p.cu_seqlens_k.as<int32_t>();
  problem.scale = p.scale;
  problem.softcap = p.softcap;
  problem.window = p.window;
  problem.causal = p.causal;
  const auto site = [&](const char* text) { return context.fault_site(OpId::flash_attention, text); };
  problem.bad_queries = site("cuSeqlensQ[{index}..] is no range within [0, {limit}): {value}");
  problem.bad_keys = site("cuSeqlensK[{index}..] is no range within [0, {limit}): {value}");
  problem.bad_total = site("the sequences have {value} queries, q has {limit}");
  problem.bad_page = site("token {index} is key {value}, outside [0, {limit})");
  return problem;
}

}  // namespace

void flash_attention(const FlashAttentionParams& p, CudaContext& context) {
  run_attention(OpId::flash_attention, problem_of(p, context), context);
}

}  // namespace warploop::cuda
