// The format of weights that are numbers of a float dtype: f32, bf16 or f16.
//
// Memory:  rows of `row_pitch` elements in the order of panels, 16 rows each. With swiglu, panels of gate and
//          of up rows take turns, so that gate and up of the same outputs lie 16 rows apart. Rows and k that
//          a weight does not have are zero.
// CUDA:    such rows, contiguous in k, as asynchronous copies and matrix loads want them.
// CPU:     inside a panel k comes first: element (panel, k / u, row % 16, k % u), u = k_together, so that a
//          tile of products streams memory front to back (cpu/gemm.h).
#pragma once
#include "core/check.h"
#include "formats/weight_view.h"

namespace warploop {

struct Dense {
  /// What its tensor may hold.
  static constexpr unsigned kStored = kFloats;
  static constexpr int64_t kPanelRows = 16;

  /// k values that a panel of the CPU keeps side by side: the operand order of AVX-512 BF16's dot product.
  static constexpr int64_t k_together(DType dtype) { return dtype == DType::bf16 ? 2 : 1; }

  /// Elements of a row.
  static constexpr int64_t row_pitch(DType dtype, int64_t inputs) {
    const int64_t u = k_together(dtype);
    return (inputs + u - 1) / u * u;
  }

  /// Rows with those that fill the last panel; of gate and of up rows each by themselves.
  static constexpr int64_t packed_rows(int64_t outputs, bool swiglu) {
    const int64_t halves = swiglu ? 2 : 1;
    return halves * ((outputs / halves + kPanelRows - 1) / kPanelRows * kPanelRows);
  }

  /// Where a row of the weight lies among the packed ones.
  static constexpr int64_t packed_row(int64_t row, int64_t outputs, bool swiglu) {
    if (!swiglu) return row;
    const int64_t half = outputs / 2, is_up = row >= half, inside = row - is_up * half;
    return (inside / kPanelRows * 2 + is_up) * kPanelRows + inside % kPanelRows;
  }

  /// The row of the weight behind a packed one; -1: none.
  static constexpr int64_t weight_row(int64_t packed_row, int64_t outputs, bool swiglu) {
    if (!swiglu) return packed_row < outputs ? packed_row : -1;
    const int64_t panel = packed_row / kPanelRows;
    const int64_t inside = panel / 2 * kPanelRows + packed_row % kPanelRows;
    return inside < outputs / 2 ? panel % 2 * (outputs / 2) + inside : -1;
  }

  static constexpr PackedShape packed_shape(DType dtype, const WeightShape& w) {
    return {w.experts, packed_rows(w.outputs, w.swiglu), row_pitch(dtype, w.inputs)};
  }

  /// CUDA: one matrix as its rows, [outputs, inputs].
  static constexpr TensorView rows(const WeightView& weight) {
    TensorView t = weight.data;
    t.rank = 2;
    t.sizes[0] = weight.outputs;
    t.sizes[1] = weight.inputs;
    t.sizes[2] = 1;
    t.strides[0] = weight.data.strides[1];
    t.strides[1] = 1;
    t.strides[2] = 0;
    return t;
  }

  /// Dtypes that the activations of a product may have.
  static constexpr unsigned activations(DType dtype) { return kF32 | dtype_bit(dtype); }
};

}  // namespace warploop
