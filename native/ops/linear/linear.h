// A linear layer: x W^T + bias + residual, or with SwiGLU silu(gate) * up of its two halves.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "formats/weight_view.h"

namespace warploop {

struct LinearParams {
  TensorView x;         // [T, K], activations_of(weight), rows strided
  WeightView weight;    // one matrix [N, K], of packLinear or packStored; with swiglu gate and up
  TensorView bias;      // [N], f32; optional
  TensorView residual;  // [T, N], f32 | bf16 | f16, rows strided; optional; may be out; none with swiglu
  TensorView out;       // [T, N], with swiglu [T, N / 2]; f32 | bf16 | f16, rows strided
};

/// As TypeScript passes them.
inline auto fields(LinearParams& p) {
  return in_order(p.x, p.weight, optional(p.bias), optional(p.residual), p.out);
}

void check(const LinearParams& p, Check& c);

}  // namespace warploop
