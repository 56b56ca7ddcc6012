// Brings rows of a weight matrix into the format that linear and groupedLinear read. Runs at load, once for
// each part of a weight: what belongs to other parts stays as it is.
#pragma once
#include "core/check.h"
#include "formats/formats.h"

namespace warploop {

struct PackLinearParams {
  TensorView weight;  // [n, K], or [K, n] with transpose; f32 | bf16 | f16, rows strided
  WeightView out;     // one matrix [N, K], dtype of weight
  int32_t first_row;  // weight is rows [first_row, first_row + n) of the matrix
  bool transpose;     // weight is [K, n] (GPT-2's Conv1D)

  constexpr int64_t rows() const { return weight.size(transpose ? 1 : 0); }
  constexpr int64_t inputs() const { return weight.size(transpose ? 0 : 1); }
};

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
