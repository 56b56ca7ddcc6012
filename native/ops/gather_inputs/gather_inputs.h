// Columns of x in the order in which a weight has its inputs, for each expert another one.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct GatherInputsParams {
  TensorView x;            // [S, K], f32 | bf16 | f16, rows strided; without order S = M
  TensorView input_order;  // [E, K], i32, rows strided; each in [0, K), verified when the op runs
  TensorView offsets;  // [E + 1] i32; optional: expert e has rows [offsets[e], offsets[e + 1]); else E = 1
  TensorView order;    // [M] i32; optional: row r reads x[order[r] / top_k]
  TensorView out;      // [M, K], the dtype of x, rows strided; a row of no expert stays as it is
  int32_t top_k;       // >= 1

  /// The expert that row r belongs to; -1: none. Of offsets that decrease some expert, and always one that
  /// there is: grouped_linear refuses them.
  constexpr int64_t expert_of(int64_t r) const {
    return expert_in(offsets.as<int32_t>(), input_order.size(0), r);
  }
  static constexpr int64_t expert_in(const int32_t* offsets, int64_t experts, int64_t r) {
    if (!offsets) return 0;
    int64_t first = 0, end = experts;  // the first whose rows end behind r
    while (first < end) {
      const int64_t middle = (first + end) / 2;
      if (offsets[middle + 1] > r) {
        end = middle;
      } else {
        first = middle + 1;
      }
    }
    return first < experts && offsets[first] <= r ? first : -1;
  }
};

/// As TypeScript passes them.
inline auto fields(GatherInputsParams& p) {
  return in_order(p.x, p.input_order, optional(p.offsets), optional(p.order), p.out, p.top_k);
}

void check(const GatherInputsParams& p, Check& c);

}  // namespace warploop
