// Root-mean-square normalisation over the last axis, with an optional residual add or gate in front.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct RmsNormParams {
  TensorView x;         // [T, D] or [T, H, D], f32 | bf16 | f16, rows strided
  TensorView weight;    // [D], or of x of rank 3 [H, D], f32, packed
  TensorView residual;  // shape of x, f32, rows strided; optional; overwritten with x + residual
  TensorView gate;      // shape of x, dtype of x, rows strided; optional; x, after residual, times silu(gate)
  TensorView out;       // shape of x, f32 | bf16 | f16, rows strided; may be x
  float eps;            // > 0
  float weight_offset;  // added to the weight: 1 for checkpoints that store w - 1 (Gemma)
};

/// As TypeScript passes them.
inline auto fields(RmsNormParams& p) {
  return in_order(p.x, p.weight, optional(p.residual), optional(p.gate), p.out, p.eps, p.weight_offset);
}

void check(const RmsNormParams& p, Check& c);

}  // namespace warploop
