// The sequences of a call, read and verified on the device: the host of a recorded graph does not know them.
#pragma once
#include <algorithm>

#include "core/attention_plan.h"
#include "cuda/attention/attention.h"
#include "cuda/device/fault.cuh"

namespace warploop::cuda {

struct SequenceRange {
  int first_query, num_queries, num_keys, pages;  // as in AttentionItem; no queries: nothing to do
  int first_position;                             // as in AttentionItem
};

WARPLOOP_DEVICE bool is_range(long long first, long long end, long long limit) {
  return first >= 0 && end >= first && end <= limit;
}

/// Queries and keys of sequence b. `report`: raise faults; what is at fault has no queries.
WARPLOOP_DEVICE SequenceRange read_sequence(const AttentionProblem& p, int b, bool report) {
  SequenceRange s{};
  long long first = 0, end = p.q.sizes[0];
  if (p.cu_seqlens_q) first = p.cu_seqlens_q[b], end = p.cu_seqlens_q[b + 1];
  if (!is_range(first, end, p.q.sizes[0])) {
    if (report) raise_fault(p.bad_queries, first < 0 ? first : end, p.q.sizes[0], b);
    return s;
  }
  const int queries = static_cast<int>(end - first);
  if (p.max_queries > 0 && queries > p.max_queries) {
    if (report) raise_fault(p.bad_count, queries, p.max_queries, b);
    return s;
  }
  s.first_query = static_cast<int>(first);
  if (p.context_lens) {
    if (queries == 0) return s;
    const long long length = p.context_lens[b], capacity = p.page_table.sizes[1] * p.k.sizes[1];
    s.pages = p.table_rows[b];
    const long long offset = p.query_offsets ? p.query_offsets[b] : 0, position = length - queries + offset;
    const bool fits = length >= (p.query_offsets ? 0 : queries) && length <= capacity,
               near = position > -kFarthestPosition && position + queries <= kFarthestPosition,
               row = s.pages >= 0 && s.pages < p.page_table.sizes[0];
    if (report && !fits) raise_fault(p.bad_keys, length, capacity, b);
    if (report && fits && !near)
      raise_fault(p.bad_offset, p.query_offsets ? offset : length, kFarthestPosition, b);
    if (report && !row) raise_fault(p.bad_row, s.pages, p.page_table.sizes[0], b);
    if (!fits || !near || !row) return s;
    s.first_position = static_cast<int>(position);
    s.num_keys = static_cast<int>(std::min(length, std::max(position + queries, 0ll)));
  } else {
    long long first_key = 0, end_key = p.k.sizes[0];
    if (p.cu_seqlens_k) first_key = p.cu_seqlens_k[b], end_key = p.cu_seqlens_k[b + 1];
    if (!is_range(first_key, end_key, p.k.sizes[0])) {
      if (report) raise_fault(p.bad_keys, first_key < 0 ? first_key : end_key, p.k.sizes[0], b);
      return s;
    }
    s.pages = static_cast<int>(first_key);
    s.num_keys = static_cast<int>(end_key - first_key);
    s.first_position = s.num_keys - queries;
  }
  s.num_queries = queries;
  return s;
}

/// Query t by itself, whose keys are the tokens that `indices` names: no more columns than it sees tokens, of
/// which there are `seen`.
WARPLOOP_DEVICE SequenceRange read_query(const AttentionProblem& p, int t, int& seen) {
  seen = 0;
  int b = 0;  // the last sequence that begins at or before t
  for (int end = p.num_sequences; end - b > 1;) {
    const int middle = (b + end) / 2;
    (p.cu_seqlens_q[middle] <= t ? b : end) = middle;
  }
  const SequenceRange all = p.num_sequences > 0 ? read_sequence(p, b, false) : SequenceRange{};
  const int at = t - all.first_query;
  if (at < 0 || at >= all.num_queries) return SequenceRange{};
  seen = std::min(std::max(all.first_position + at + 1, 0), all.num_keys);
  SequenceRange s{.first_query = t, .num_queries = 1, .pages = all.pages};
  s.num_keys = static_cast<int>(std::min<int64_t>(seen, p.indices.sizes[1]));
  s.first_position = s.num_keys - 1;
  return s;
}

/// What is cut into tiles, number i of num_ranges().
WARPLOOP_DEVICE SequenceRange read_range(const AttentionProblem& p, int i) {
  int seen;
  return p.indices ? read_query(p, i, seen) : read_sequence(p, i, false);
}

}  // namespace warploop::cuda
