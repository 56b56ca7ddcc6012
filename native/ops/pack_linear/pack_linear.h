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
};

/// As TypeScript passes them.
inline auto fields(PackLinearParams& p) { return in_order(p.weight, p.out, p.first_row); }

/// What a packed row gets: a row of `weight`, or zeros, or nothing because it belongs to another part.
constexpr int64_t kZeros = -1, kOthers = -2;
constexpr int64_t source_row(const PackLinearParams& p, int64_t packed_row) {
  const int64_t row = Dense::weight_row(packed_row, p.out.outputs, p.out.swiglu);
  if (row < 0) return kZeros;
  return row >= p.first_row && row < p.first_row + p.rows() ? row - p.first_row : kOthers;
}

/// The panels that the rows of `weight` fall into, and with swiglu perhaps others between them.
struct PanelRange {
  int64_t first, end;
};
constexpr PanelRange panels_of(const PackLinearParams& p) {
  const int64_t last_row = p.first_row + p.rows() - 1;
  if (last_row < p.first_row) return {0, 0};
  if (p.out.swiglu && p.first_row < p.out.outputs / 2 && last_row >= p.out.outputs / 2)
    return {0, Dense::packed_rows(p.out.outputs, true) / Dense::kPanelRows};
  return {Dense::packed_row(p.first_row, p.out.outputs, p.out.swiglu) / Dense::kPanelRows,
          Dense::packed_row(last_row, p.out.outputs, p.out.swiglu) / Dense::kPanelRows + 1};
}

void check(const PackLinearParams& p, Check& c);

}  // namespace warploop
