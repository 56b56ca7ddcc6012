// Brings the outputs of the experts back to the tokens: their weighted sum, with an optional residual add.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct MoeCombineParams {
  TensorView y;         // [T*K, D], f32 | bf16 | f16, rows strided: expert outputs in permuted order
  TensorView inverse;   // [T, K], i32, packed: row of y of each (token, choice) pair
  TensorView weights;   // [T, K], f32, packed
  TensorView residual;  // [T, D], f32, rows strided; optional
  TensorView offsets;   // [E+1], i32, packed; optional: of y only rows [offsets[0], offsets[E]) are there
  TensorView out;       // [T, D], f32 | bf16 | f16, rows strided; may be residual
};

/// As TypeScript passes them.
inline auto fields(MoeCombineParams& p) {
  return in_order(p.y, p.inverse, p.weights, optional(p.residual), optional(p.offsets), p.out);
}

void check(const MoeCombineParams& p, Check& c);

}  // namespace warploop
