// The format of weights that are numbers of a float dtype: f32, bf16 or f16.
//
// Memory:  rows of `row_pitch` elements in the order of panels (formats/panels.h). Rows and k that a weight
//          does not have are zero.
// CUDA:    such rows, contiguous in k, as asynchronous copies and matrix loads want them.
// CPU:     inside a panel k comes first: element (panel, k / u, row % 16, k % u), u = k_together, so that a
//          tile of products streams memory front to back (cpu/gemm.h).
#pragma once
#include "core/check.h"
#include "formats/panels.h"

namespace warploop {

struct Dense : Panels {
  /// What its tensor may hold.
  static constexpr unsigned kStored = kFloats;

  /// k values that a panel of the CPU keeps side by side: the operand order of AVX-512 BF16's dot product.
  static constexpr int64_t k_together(DType dtype) { return dtype == DType::bf16 ? 2 : 1; }

  /// Elements of a row.
  static constexpr int64_t row_pitch(DType dtype, int64_t inputs) {
    const int64_t u = k_together(dtype);
    return (inputs + u - 1) / u * u;
  }

  static constexpr PackedShape packed_shape(DType dtype, const FormatNumbers&, const WeightShape& w) {
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

  static constexpr bool takes(const FormatNumbers& n) {
    return n.group == 0 && n.scale == ScaleType{} && n.offset == OffsetType{} && n.activation == Activation{};
  }

  /// Dtypes that the activations of a product may have.
  static constexpr unsigned activations(DType dtype) { return kF32 | dtype_bit(dtype); }
};

}  // namespace warploop
