// A linear layer: x W^T + bias + residual.
#pragma once
#include "core/check.h"
#include "formats/weight_view.h"

namespace warploop {

struct LinearParams {
  TensorView x;         // [T, K], dtype of weight or f32, rows strided
  WeightView weight;    // one matrix [N, K], packed by packLinear
  TensorView bias;      // [N], f32; optional
  TensorView residual;  // [T, N], f32 | bf16 | f16, rows strided; optional; may be out
  TensorView out;       // [T, N], f32 | bf16 | f16, rows strided
};

void check(const LinearParams& p, Check& c);

}  // namespace warploop
