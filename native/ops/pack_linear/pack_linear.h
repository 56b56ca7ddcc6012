// Brings rows of a weight matrix into the format that linear and groupedLinear read. Runs at load, once for
// each part of a weight: what belongs to other parts stays as it is.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "formats/formats.h"

namespace warploop {

struct PackLinearParams {
  TensorView weight;  // [n, K], or [a, b, K] or [a, b, c, K] with n = a b c; any strides; f32 | bf16 | f16
  WeightView out;     // one matrix [N, K], dtype of weight
  int32_t first_row;  // weight is rows [first_row, first_row + n) of the matrix

  constexpr int64_t inputs() const { return weight.size(-1); }
  constexpr int64_t rows() const {
    int64_t n = 1;
    for (int axis = 0; axis + 1 < weight.rank; axis++) n *= weight.sizes[axis];
    return n;
  }
  constexpr PartOfWeight part() const { return {out.outputs, first_row, rows(), out.swiglu}; }
};

/// As TypeScript passes them.
inline auto fields(PackLinearParams& p) { return in_order(p.weight, p.out, p.first_row); }

void check(const PackLinearParams& p, Check& c);

}  // namespace warploop
