// Softmax over the last axis, optionally causal, as attention that materialises its scores needs it.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct SoftmaxParams {
  TensorView x;    // [T, D], f32 | bf16 | f16, rows strided
  TensorView out;  // [T, D], f32 | bf16 | f16, rows strided; may be x
  float scale;     // positive, finite; multiplies x first
  bool causal;     // row t sees the columns j <= t + D - T
};

/// As TypeScript passes them.
inline auto fields(SoftmaxParams& p) { return in_order(p.x, p.out, p.scale, p.causal); }

void check(const SoftmaxParams& p, Check& c);

}  // namespace warploop
