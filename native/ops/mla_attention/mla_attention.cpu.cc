// What:      out[i, h] = softmax over the visible tokens j of (scale * q[i, h] . c[j]) times c[j, 0 .. R),
//            where the latent c[j] of sequence b lies in page pageTable[rows[b], j / Ps] at offset j % Ps
// Steps:     as paged_attention's with one KV head for all query heads, whose values are the first columns of
//            its keys: cpu/attention.cc
// Mapping:   up to 8 rows (heads times queries) of a sequence walk over the latents as they lie, more over a
//            tile of 64 that is packed once for all of them
// Cost:      decoding: each latent once from memory, (R + Dr) elements per token, and 2 Hq (2 R + Dr) flop
// Numerics:  as paged_attention's
// Source:    DeepSeek-AI: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C
#include "ops/mla_attention/mla_attention.h"

#include "cpu/attention.h"
#include "cpu/paged_sequences.h"

namespace warploop::cpu::WARPLOOP_ISA {

void mla_attention(const MlaAttentionParams& p, CpuContext& context) {
  AttentionProblem problem{};
  problem.q = p.q;
  problem.k = latent_columns(p.latent_pages, p.latent_pages.size(2));
  problem.v = latent_columns(p.latent_pages, p.out.size(2));
  problem.latent = true;
  problem.lse = p.lse;
  problem.out = p.out;
  problem.scale = p.scale;
  const PagedSequences sequences(p, problem);
  attention(problem, context);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
