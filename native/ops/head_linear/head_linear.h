// One linear layer per head: every head of a token goes through the matrix of its own.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "formats/weight_view.h"

namespace warploop {

struct HeadLinearParams {
  static constexpr int64_t kMostHeads = 65535;  // axis y of a grid

  TensorView x;       // [T, H, K], activations_of(weight), rows strided
  WeightView weight;  // H matrices [N, K], each of packLinear or packStored
  TensorView out;     // [T, H, N], f32 | bf16 | f16, rows strided
};

/// As TypeScript passes them.
inline auto fields(HeadLinearParams& p) { return in_order(p.x, p.weight, p.out); }

void check(const HeadLinearParams& p, Check& c);

}  // namespace warploop
