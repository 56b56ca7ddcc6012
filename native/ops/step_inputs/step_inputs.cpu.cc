// What:      for token i of sequence b, in row r = rows[b], at position j = start + i, of every group g:
//            tokens = tokenPool[r, j], positions = j, slots[g] = pageTables[g, r, j / Ps] * Ps + j % Ps;
//            contextLens[b] = lengths[r] = start + count; samplePositions[n] = positions[logitIndices[n]] + 1
// Steps:     1. verify the sequence and its end   2. its tokens   3. their slots   4. the new length
//            5. where samples go
// Mapping:   sequences are dealt to threads; 5. on one
// Source:    the definition
#include "ops/step_inputs/step_inputs.h"

#include <limits>

#include "core/error.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// Tokens [first, first + count) of the step are those at [start, start + count) of `row`.
struct Sequence {
  int64_t row, first, count, start;
  bool is_padding;
};

Sequence sequence_at(const StepInputsParams& p, int64_t b) {
  const int64_t R = p.token_pool.size(0), L = p.token_pool.size(1), T = p.tokens.size(0);
  const int64_t row = p.rows.as<int32_t>()[b];
  if (row < 0 || row >= R) fail_execution("rows[", b, "] = ", row, " is outside [0, R=", R, ")");
  const int32_t* cu = p.cu_seqlens_q.as<int32_t>();
  const int64_t first = cu[b], end = cu[b + 1];
  if (first < 0 || end < first || end > T) {
    fail_execution("cuSeqlensQ[", b, "..] = ", first, ", ", end, " is no range within [0, T=", T, "]");
  }
  const bool is_padding = row == R - 1;
  const int64_t told = p.starts.as<int32_t>()[b];
  if (told < -1) fail_execution("starts[", b, "] = ", told, " is neither a position nor -1");
  const int64_t start = is_padding ? 0 : told >= 0 ? told : p.lengths.as<int32_t>()[row];
  if (start < 0) fail_execution("lengths[", row, "] = ", start, " is negative");
  const int64_t length = start + end - first;
  if (length > L) fail_execution("sequence ", b, " ends at ", length, ", beyond the L=", L, " of its row");
  return {row, first, end - first, start, is_padding};
}

void fill_slots(const StepInputsParams& p, int64_t b, const Sequence& s, int64_t g) {
  const int64_t T = p.tokens.size(0), W = p.page_tables.size(2);
  const int32_t* group = p.groups.as<int32_t>() + g * static_cast<int64_t>(StepGroup::count);
  const int64_t page_size = group[static_cast<int>(StepGroup::page_size)];
  const int64_t first_page = group[static_cast<int>(StepGroup::first_page)];
  const int32_t* pages = row_at<int32_t>(p.page_tables, g * p.page_tables.size(1) + s.row);
  int32_t* slots = p.slots.as<int32_t>() + g * T + s.first;
  if (page_size < 1) fail_execution("groups[", g, "] has pages of ", page_size, " tokens");
  for (int64_t i = 0; i < s.count; i++) {
    if (s.is_padding) {
      slots[i] = -1;
      continue;
    }
    const int64_t column = (s.start + i) / page_size;
    if (column >= W) {
      fail_execution("sequence ", b, " has a token in column ", column, ", pageTables has W=", W);
    }
    const int64_t page = pages[column], slot = page * page_size + (s.start + i) % page_size;
    if (page < first_page || page < 0 || slot > std::numeric_limits<int32_t>::max()) {
      fail_execution("page ", page, " in column ", column, " of sequence ", b, " belongs to nobody");
    }
    slots[i] = static_cast<int32_t>(slot);
  }
}

void fill_sequence(const StepInputsParams& p, int64_t b) {
  const Sequence s = sequence_at(p, b);  // 1.
  const int32_t* pool = row_at<int32_t>(p.token_pool, s.row) + s.start;
  for (int64_t i = 0; i < s.count; i++) {  // 2.
    p.tokens.as<int32_t>()[s.first + i] = pool[i];
    p.positions.as<int32_t>()[s.first + i] = static_cast<int32_t>(s.start + i);
  }
  for (int64_t g = 0; g < p.page_tables.size(0); g++) fill_slots(p, b, s, g);  // 3.
  const auto length = static_cast<int32_t>(s.start + s.count);
  p.context_lens.as<int32_t>()[b] = length;
  if (!s.is_padding) p.lengths.as<int32_t>()[s.row] = length;  // 4.
}

}  // namespace

void step_inputs(const StepInputsParams& p, CpuContext& context) {
  const int64_t B = p.rows.size(0), T = p.tokens.size(0), N = p.logit_indices.size(0);
  const int32_t* cu = p.cu_seqlens_q.as<int32_t>();
  if (cu[0] != 0 || cu[B] != T) {
    fail_execution("the sequences have the tokens [", cu[0], ", ", cu[B], "), the step has [0, T=", T, ")");
  }
  if (B > 0)
    for_rows(context, B, T / B * (2 + p.page_tables.size(0)), [&](int64_t b) { fill_sequence(p, b); });
  for (int64_t n = 0; n < N; n++) {  // 5.
    const int64_t t = p.logit_indices.as<int32_t>()[n];
    if (t < 0 || t >= T) fail_execution("logitIndices[", n, "] = ", t, " is outside [0, T=", T, ")");
    p.sample_positions.as<int32_t>()[n] = p.positions.as<int32_t>()[t] + 1;
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
