// A linear layer: x W^T + bias + residual.
#pragma once
#include "core/check.h"
#include "core/tensor_view.h"

namespace warploop {

struct LinearParams {
  TensorView x;         // [T, K], dtype of weight or f32, rows strided
  TensorView weight;    // packed by packLinear from [N, K]: [ceil(N / 16), ceil(K / u), 16, u]
  TensorView bias;      // [N], f32; optional
  TensorView residual;  // [T, N], f32 | bf16 | f16, rows strided; optional; may be out
  TensorView out;       // [T, N], f32 | bf16 | f16, rows strided
};

void check(const LinearParams& p, Check& c);

}  // namespace warploop
