// The sequences of paged_attention and mla_attention, from the op's tensors or from a plan of it.
#pragma once
#include "core/error.h"
#include "cpu/attention.h"
#include "cpu/paged_sequence.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// What an AttentionProblem reads its sequences from. Params have what read_paged_sequence() needs and q,
/// plan, page_table.
template <class Params>
class PagedSequences {
 public:
  /// Of a problem whose q, k and v are set; throws Error(execution) for a plan of another call. The problem
  /// reads from here.
  PagedSequences(const Params& p, AttentionProblem& problem) : p_(p), problem_(problem) {
    if (p.plan) verify_plan();
    problem.causal = true;
    problem.num_sequences = p.rows.size(0);
    problem.source = this;
    problem.sequence = p.plan ? planned_sequence : sequence;
  }
  PagedSequences(const PagedSequences&) = delete;
  PagedSequences& operator=(const PagedSequences&) = delete;

 private:
  AttentionSequence located(const PlannedRange& s) const {
    if (s.num_queries == 0) return {s.first_query, 0, 0, 0, nullptr, 0};
    const int64_t row = s.table_row * p_.page_table.stride(0);
    return {s.first_query,
            s.num_queries,
            s.num_keys,
            s.first_position,
            p_.page_table.template as<int32_t>() + row,
            0};
  }

  int64_t capacity() const { return p_.page_table.size(1) * problem_.k.size(1); }

  static AttentionSequence sequence(const void* source, int64_t b) {
    const auto& from = *static_cast<const PagedSequences*>(source);
    return from.located(read_paged_sequence(from.p_, from.p_.q.size(0), from.capacity(), b));
  }

  static AttentionSequence planned_sequence(const void* source, int64_t b) {
    const auto& from = *static_cast<const PagedSequences*>(source);
    const Params& p = from.p_;
    const auto* planned =
        reinterpret_cast<const PlannedRange*>(p.plan.template as<std::byte>() + kPlanHeaderBytes);
    const PlannedRange s = planned[b];
    const bool fits = s.first_query >= 0 && s.num_queries >= 0 &&
                      s.first_query <= p.q.size(0) - s.num_queries &&
                      (s.num_queries == 0 || (s.num_keys >= 0 && s.num_keys <= from.capacity() &&
                                              s.table_row >= 0 && s.table_row < p.page_table.size(0)));
    if (!fits) fail_execution("plan: it has been written over: sequence ", b, " of ", p.rows.size(0));
    return from.located(s);
  }

  void verify_plan() const {
    const TensorView &k = problem_.k, &v = problem_.v;
    const int64_t B = p_.rows.size(0), T = p_.q.size(0), Hq = p_.q.size(1), Hkv = k.size(2);
    const int64_t needed = attention_plan_bytes({0, T, B, Hq / Hkv, Hkv, capacity(), p_.max_queries});
    if (p_.plan.size(0) != needed)
      fail_execution("plan: made for another call: it has ", p_.plan.size(0), " bytes, not ", needed);
    const PlanSignature wanted =
        cpu_plan_signature(p_, T, capacity(), Hq, Hkv, v.size(3), problem_.latent, p_.q.dtype, k.dtype);
    const auto& found = *p_.plan.template as<PlanSignature>();
    for (int i = 0; i < kPlanWords; i++) {
      if (found.words[i] != wanted.words[i]) fail_other_plan(i, found.words[i], wanted.words[i]);
    }
  }

  const Params& p_;
  const AttentionProblem& problem_;
};

}  // namespace warploop::cpu::WARPLOOP_ISA
