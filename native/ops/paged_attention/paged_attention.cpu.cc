// What:      out[i, h] = softmax over the visible tokens j of (scale * q[i, h] . k[j, h']) times v[j, h'],
//            h' = h * Hkv / Hq,
//            where token j of sequence b lies in page pageTable[rows[b], j / Ps] at offset j % Ps
// Steps:     verify where each sequence lies, or that the plan is one of this call; the rest is
//            cpu/attention.cc
// Source:    Kwon et al.: Efficient Memory Management for LLM Serving with PagedAttention, arXiv 2309.06180,
//            equation 4
#include "ops/paged_attention/paged_attention.h"

#include "core/attention_limits.h"
#include "cpu/attention.h"
#include "cpu/paged_sequences.h"

namespace warploop::cpu::WARPLOOP_ISA {

void paged_attention(const PagedAttentionParams& p, CpuContext& context) {
  AttentionProblem problem{};
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
  problem.window = p.window;
  const PagedSequences sequences(p, problem);
  attention(problem, context);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
