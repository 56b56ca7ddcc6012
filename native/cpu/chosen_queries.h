// The sequences of mla_attention with indices: each query by itself, whose keys are the tokens chosen for it.
#pragma once
#include "core/error.h"
#include "cpu/attention.h"
#include "cpu/paged_sequence.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Params have what read_paged_sequence() needs and q, page_table, indices.
template <class Params>
class ChosenQueries {
 public:
  /// Throws Error(execution) for sequences that are not those of q. `page_size`: of the keys.
  ChosenQueries(const Params& p, int64_t page_size) : p_(p), capacity_(p.page_table.size(1) * page_size) {
    int64_t queries = 0;
    for (int64_t b = 0; b < p.rows.size(0); b++) queries += read(b).num_queries;
    if (queries != p.q.size(0))
      fail_execution("the sequences have ", queries, " queries, q has ", p.q.size(0));
  }

  /// As AttentionProblem::sequence has it; first_query: among all.
  AttentionSequence query(int64_t t) const {
    const int32_t* cu = p_.cu_seqlens_q.template as<int32_t>();
    const PlannedRange s = read(std::upper_bound(cu, cu + p_.rows.size(0) + 1, t) - cu - 1);
    const int64_t seen = std::clamp<int64_t>(s.first_position + t - s.first_query + 1, 0, s.num_keys);
    const int64_t columns = std::min(seen, p_.indices.size(1));
    const int32_t* tokens = p_.indices.template as<int32_t>() + t * p_.indices.stride(0);
    int64_t chosen = 0;
    for (int64_t n = 0; n < columns; n++) {
      if (tokens[n] < -1 || tokens[n] >= seen) fail_execution(filled_in(kBadIndex, t, tokens[n], seen));
      chosen += tokens[n] >= 0;
    }
    const int32_t* pages = p_.page_table.template as<int32_t>() + s.table_row * p_.page_table.stride(0);
    return {t, 1, chosen, chosen - 1, pages, 0, tokens, columns};
  }

 private:
  PlannedRange read(int64_t b) const { return read_paged_sequence(p_, p_.q.size(0), capacity_, b); }

  const Params& p_;
  const int64_t capacity_;
};

}  // namespace warploop::cpu::WARPLOOP_ISA
