// What:      out[i, h] = softmax over the visible tokens j of (scale * q[i, h] . c[j]) times c[j, 0 .. R),
//            where the latent c[j] of sequence b lies in page pageTable[rows[b], j / Ps] at offset j % Ps
// Steps:     as paged_attention's with one KV head for all query heads, whose values are the first columns of
//            its keys: cuda/attention/. Heads times queries are the rows of a tile
// Cost:      decoding: the latents once, sum of Lk (R + Dr) 2 bytes, and 2 Hq (2 R + Dr) flop per latent:
//            with 64 and more heads that is the limit; docs/kernels/mla_attention.md
//            With indices each query is cut by itself, and its tokens take the place of its keys
// Numerics:  as paged_attention's
// Source:    DeepSeek-AI: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C
#include "ops/mla_attention/mla_attention.h"

#include "cuda/attention/paged.h"

namespace warploop::cuda {

namespace {

AttentionProblem problem_of(const MlaAttentionParams& p, const CudaContext& context) {
  AttentionProblem problem = paged_problem(p, OpId::mla_attention, context);
  problem.q = p.q;
  problem.k = latent_columns(p.latent_pages, p.latent_pages.size(2));
  problem.v = latent_columns(p.latent_pages, p.out.size(2));
  problem.latent = true;
  problem.k_scales = p.latent_scales;
  if (p.rotated_pages) problem.rotated = latent_columns(p.rotated_pages, p.rotated_pages.size(2));
  problem.lse = p.lse;
  problem.out = p.out;
  problem.scale = p.scale;
  problem.plan = p.plan;
  problem.indices = p.indices;
  problem.bad_index = context.fault_site(OpId::mla_attention, kBadIndex);
  return problem;
}

}  // namespace

void mla_attention(const MlaAttentionParams& p, CudaContext& context) {
  run_attention(OpId::mla_attention, problem_of(p, context), context);
}

}  // namespace warploop::cuda
