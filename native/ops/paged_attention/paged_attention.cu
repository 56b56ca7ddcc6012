// What:      out[i, h] = softmax over the visible tokens j of (scale * q[i, h] . k[j, h']) times v[j, h'],
//            h' = h Hkv / Hq,
//            where token j of sequence b lies in page pageTable[rows[b], j / Ps] at offset j % Ps
// Steps:     one call for prompts, chunks and decodes alike: a plan on the device, made before by
//            attention_plan or here, cuts the sequences into items, a kernel for few rows and one for many
//            work them off, the spans of split sequences are merged: cuda/attention/
// Cost:      decoding: the KV cache once, sum of Lk (Dh + Dv) 2 bytes per KV head;
//            docs/kernels/paged_attention.md
// Numerics:  see cuda/attention/: a row's bits depend on its own sequence only, not on the batch. They do
//            depend on how many queries of the sequence are in the call (up to 16 rows of a KV head: on
//            nothing)
// Source:    Kwon et al.: Efficient Memory Management for LLM Serving with PagedAttention, arXiv 2309.06180,
//            equation 4; Dao et al., Flash-Decoding, crfm.stanford.edu/2023/10/12/flashdecoding.html
#include "ops/paged_attention/paged_attention.h"

#include "core/attention_limits.h"
#include "cuda/attention/paged.h"

namespace warploop::cuda {

namespace {

AttentionProblem problem_of(const PagedAttentionParams& p, const CudaContext& context) {
  AttentionProblem problem = paged_problem(p, OpId::paged_attention, context);
  problem.q = p.q;
  problem.k = p.k_pages;
  problem.v = p.v_pages;
  problem.k_scales = p.k_scales;
  problem.v_scales = p.v_scales;
  problem.lse = p.lse;
  problem.sinks = p.sinks;
  problem.tree_mask = p.tree_mask;
  problem.block_mask = rows_of_heads(p.block_mask);
  problem.out = p.out;
  problem.scale = p.scale;
  problem.softcap = p.softcap;
  problem.plan = p.plan;
  return problem;
}

}  // namespace

void paged_attention(const PagedAttentionParams& p, CudaContext& context) {
  run_attention(OpId::paged_attention, problem_of(p, context), context);
}

}  // namespace warploop::cuda
