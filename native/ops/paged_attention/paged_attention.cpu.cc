// What:      out[i, h] = softmax over the visible tokens j of (scale * q[i, h] . k[j, h']) times v[j, h'],
//            h' = h * Hkv / Hq,
//            where token j of sequence b lies in page pageTable[rows[b], j / Ps] at offset j % Ps
// Steps:     verify where each sequence lies; the rest is cpu/attention.cc
// Source:    Kwon et al.: Efficient Memory Management for LLM Serving with PagedAttention, arXiv 2309.06180,
//            equation 4
#include "ops/paged_attention/paged_attention.h"

#include "core/error.h"
#include "cpu/attention.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

AttentionSequence sequence(const void* source, int64_t b) {
  const auto& p = *static_cast<const PagedAttentionParams*>(source);
  const int64_t first = p.cu_seqlens_q.as<int32_t>()[b], end = p.cu_seqlens_q.as<int32_t>()[b + 1];
  if (first < 0 || end < first || end > p.q.size(0)) {
    fail_execution("cuSeqlensQ[", b, "..", b + 1, "] = ", first, ", ", end, " is no range within [0, ",
                   p.q.size(0), ")");
  }
  if (first == end) return {first, 0, 0, nullptr, 0};
  const int64_t length = p.context_lens.as<int32_t>()[b], capacity = p.page_table.size(1) * p.k_pages.size(1);
  if (length < end - first || length > capacity) {
    fail_execution("contextLens[", b, "] = ", length, " is outside [", end - first, ", ", capacity, "]");
  }
  const int64_t row = p.rows.as<int32_t>()[b];
  if (row < 0 || row >= p.page_table.size(0)) {
    fail_execution("rows[", b, "] = ", row, " is outside [0, ", p.page_table.size(0), ")");
  }
  return {first, end - first, length, p.page_table.as<int32_t>() + row * p.page_table.stride(0), 0};
}

}  // namespace

void paged_attention(const PagedAttentionParams& p, CpuContext& context) {
  AttentionProblem problem{};
  problem.q = p.q;
  problem.k = p.k_pages;
  problem.v = p.v_pages;
  problem.out = p.out;
  problem.scale = p.scale;
  problem.window = p.window;
  problem.causal = true;
  problem.num_sequences = p.rows.size(0);
  problem.source = &p;
  problem.sequence = sequence;
  attention(problem, context);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
