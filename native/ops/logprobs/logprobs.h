// Log-probabilities of one chosen token per row, and of the row's best tokens.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/row_status.h"
#include "core/tensor_view.h"

namespace warploop {

/// Bound of N: the best tokens are kept in a sorted list.
inline constexpr int64_t kMaxTopLogprobs = 256;

struct LogprobsParams {
  TensorView logits;      // [B, V], f32 | bf16 | f16, rows strided, V >= 1
  TensorView ids;         // [B], i32, packed; each in [0, V)
  TensorView chosen;      // [B], f32, packed
  TensorView top_ids;     // [B, N], i32, packed; N <= V, N <= kMaxTopLogprobs, may be 0
  TensorView top_values;  // [B, N], f32, packed
  TensorView status;      // [B], i32, packed, RowStatus; optional
};

/// As TypeScript passes them.
inline auto fields(LogprobsParams& p) {
  return in_order(p.logits, p.ids, p.chosen, p.top_ids, p.top_values, optional(p.status));
}

void check(const LogprobsParams& p, Check& c);

}  // namespace warploop
