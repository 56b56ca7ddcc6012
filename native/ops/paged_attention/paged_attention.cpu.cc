// What:      out[i, h] = softmax over the visible tokens j of (scale * q[i, h] . k[j, h']) times v[j, h'],
//            h' = h * Hkv / Hq,
//            where token j of sequence b lies in page pageTable[rows[b], j / Ps] at offset j % Ps
// Steps:     verify where each sequence lies, or that the plan is one of this call; the rest is
//            cpu/attention.cc
// Source:    Kwon et al.: Efficient Memory Management for LLM Serving with PagedAttention, arXiv 2309.06180,
//            equation 4
#include "ops/paged_attention/paged_attention.h"

#include "core/error.h"
#include "cpu/attention.h"
#include "cpu/paged_sequence.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

AttentionSequence located(const PagedAttentionParams& p, const PlannedRange& s) {
  if (s.num_queries == 0) return {s.first_query, 0, 0, 0, nullptr, 0};
  const int64_t row = s.table_row * p.page_table.stride(0);
  return {s.first_query, s.num_queries, s.num_keys, s.first_position, p.page_table.as<int32_t>() + row, 0};
}

int64_t capacity_of(const PagedAttentionParams& p) { return p.page_table.size(1) * p.k_pages.size(1); }

AttentionSequence sequence(const void* source, int64_t b) {
  const auto& p = *static_cast<const PagedAttentionParams*>(source);
  return located(p, read_paged_sequence(p, p.q.size(0), capacity_of(p), b));
}

AttentionSequence planned_sequence(const void* source, int64_t b) {
  const auto& p = *static_cast<const PagedAttentionParams*>(source);
  const PlannedRange s = reinterpret_cast<const PlannedRange*>(p.plan.as<std::byte>() + kPlanHeaderBytes)[b];
  const bool fits = s.first_query >= 0 && s.num_queries >= 0 &&
                    s.first_query <= p.q.size(0) - s.num_queries &&
                    (s.num_queries == 0 || (s.num_keys >= 0 && s.num_keys <= capacity_of(p) &&
                                            s.table_row >= 0 && s.table_row < p.page_table.size(0)));
  if (!fits) fail_execution("plan: it has been written over: sequence ", b, " of ", p.rows.size(0));
  return located(p, s);
}

/// Throws Error(execution) for a plan of another call.
void verify_plan(const PagedAttentionParams& p) {
  const int64_t B = p.rows.size(0), Hq = p.q.size(1), Hkv = p.k_pages.size(2);
  const int64_t needed =
      attention_plan_bytes({0, p.q.size(0), B, Hq / Hkv, Hkv, capacity_of(p), p.max_queries});
  if (p.plan.size(0) != needed)
    fail_execution("plan: made for another call: it has ", p.plan.size(0), " bytes, not ", needed);
  const PlanSignature wanted = cpu_plan_signature(p, p.q.size(0), capacity_of(p), Hq, Hkv, p.v_pages.size(3));
  const auto& found = *p.plan.as<PlanSignature>();
  for (int i = 0; i < kPlanWords; i++) {
    if (found.words[i] != wanted.words[i]) fail_other_plan(i, found.words[i], wanted.words[i]);
  }
}

}  // namespace

void paged_attention(const PagedAttentionParams& p, CpuContext& context) {
  AttentionProblem problem{};
  problem.q = p.q;
  problem.k = p.k_pages;
  problem.v = p.v_pages;
  problem.lse = p.lse;
  problem.sinks = p.sinks;
  problem.out = p.out;
  problem.scale = p.scale;
  problem.softcap = p.softcap;
  problem.window = p.window;
  problem.causal = true;
  problem.num_sequences = p.rows.size(0);
  problem.source = &p;
  if (p.plan) verify_plan(p);
  problem.sequence = p.plan ? planned_sequence : sequence;
  attention(problem, context);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
