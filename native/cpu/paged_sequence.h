// The sequences of paged attention, as attention_plan, paged_attention and mla_attention read and verify
// them. Params of all have page_table, rows, cu_seqlens_q, context_lens, query_offsets, window and
// max_queries.
#pragma once
#include <algorithm>
#include <string>

#include "core/attention_plan.h"
#include "core/error.h"
#include "core/fault_text.h"
#include "cpu/cpu_context.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// A text of core/attention_plan.h with its numbers.
inline std::string filled_in(const char* text, int64_t index, int64_t value, int64_t limit) {
  return fault_text(text, {.value = value, .limit = limit, .index = index});
}

/// Sequence b. `queries`: of all; `capacity`: tokens that a row of the page table has room for. Throws
/// Error(execution).
template <class Params>
PlannedRange read_paged_sequence(const Params& p, int64_t queries, int64_t capacity, int64_t b) {
  const int32_t first = p.cu_seqlens_q.template as<int32_t>()[b],
                end = p.cu_seqlens_q.template as<int32_t>()[b + 1];
  if (first < 0 || end < first || end > queries) {
    fail_execution("cuSeqlensQ[", b, "..", b + 1, "] = ", first, ", ", end, " is no range within [0, ",
                   queries, ")");
  }
  if (first == end) return {first, 0, 0, 0, 0};
  if (p.max_queries > 0 && end - first > p.max_queries)
    fail_execution(filled_in(kManyQueries, b, end - first, p.max_queries));
  const int32_t length = p.context_lens.template as<int32_t>()[b], least = p.query_offsets ? 0 : end - first;
  if (length < least || length > capacity) {
    fail_execution("contextLens[", b, "] = ", length, " is outside [", least, ", ", capacity, "]");
  }
  const int64_t offset = p.query_offsets ? p.query_offsets.template as<int32_t>()[b] : 0;
  const int64_t position = length - (end - first) + offset, behind = position + (end - first);
  if (position <= -kFarthestPosition || behind > kFarthestPosition) {
    fail_execution(p.query_offsets ? filled_in(kFarQueries, b, offset, kFarthestPosition)
                                   : filled_in(kLongContext, b, length, kFarthestPosition));
  }
  const int32_t row = p.rows.template as<int32_t>()[b];
  if (row < 0 || row >= p.page_table.size(0)) {
    fail_execution("rows[", b, "] = ", row, " is outside [0, ", p.page_table.size(0), ")");
  }
  const auto num_keys = static_cast<int32_t>(std::clamp<int64_t>(behind, 0, length));
  return {first, end - first, num_keys, row, static_cast<int32_t>(position)};
}

/// `q`, `pages`: dtypes. They stand where a GPU's plan has the kernel.
template <class Params>
PlanSignature cpu_plan_signature(const Params& p, int64_t queries, int64_t capacity, int64_t Hq, int64_t Hkv,
                                 int64_t Dv, bool latent, DType q, DType pages) {
  const int64_t dtypes = -1 - static_cast<int64_t>(q) - 256 * static_cast<int64_t>(pages);
  return {{dtypes, queries, p.rows.size(0), p.page_table.size(0), capacity, Hq / Hkv, Hkv, p.window, Dv, 0,
           static_cast<bool>(p.query_offsets), p.max_queries, latent}};
}

/// Says kOtherPlan of a word of a plan's signature.
[[noreturn]] inline void fail_other_plan(int word, int64_t found, int64_t wanted) {
  fail_execution(filled_in(kOtherPlan, word, found, wanted));
}

}  // namespace warploop::cpu::WARPLOOP_ISA
