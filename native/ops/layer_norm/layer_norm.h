// Layer normalisation over the last axis.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct LayerNormParams {
  TensorView x;       // [T, D], f32 | bf16 | f16, rows strided
  TensorView weight;  // [D], f32
  TensorView bias;    // [D], f32; optional
  TensorView out;     // [T, D], f32 | bf16 | f16, rows strided; may be x
  float eps;          // > 0, added to the variance
};

/// As TypeScript passes them.
inline auto fields(LayerNormParams& p) { return in_order(p.x, p.weight, optional(p.bias), p.out, p.eps); }

void check(const LayerNormParams& p, Check& c);

}  // namespace warploop
