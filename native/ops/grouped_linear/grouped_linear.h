// One linear layer per group of rows (the experts of a mixture): gathered input, biases, fused SwiGLU.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/swiglu.h"
#include "formats/weight_view.h"

namespace warploop {

struct GroupedLinearParams {
  TensorView x;        // [S, K], activations_of(weight), rows strided; without order S = M
  WeightView weight;   // E matrices, each of packLinear or packStored
  TensorView offsets;  // [E + 1] i32: expert e has rows [offsets[e], offsets[e + 1]); non-decreasing, 0 .. M
  TensorView order;    // [M] i32; optional: row r reads x[order[r] / top_k]
  TensorView bias;     // [E, N], f32, rows strided; optional
  TensorView out;      // [M, N], with swiglu [M, N / 2]; f32 | bf16 | f16, rows strided
  int32_t top_k;       // >= 1
  bool clamped;        // core/swiglu.h; only with swiglu
  float limit;         // positive
  float alpha;         // positive
};

/// As TypeScript passes them.
inline auto fields(GroupedLinearParams& p) {
  return in_order(p.x, p.weight, p.offsets, optional(p.order), optional(p.bias), p.out, p.top_k, p.clamped,
                  p.limit, p.alpha);
}

void check(const GroupedLinearParams& p, Check& c);

}  // namespace warploop
