// Elementwise sum: a + scale * b.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct AddParams {
  TensorView a;    // any shape of rank 1 to 4, f32 | bf16 | f16, rows strided
  TensorView b;    // shape of a, f32 | bf16 | f16, rows strided
  TensorView out;  // shape and dtype of a, rows strided; may be a or b
  float scale;     // finite
};

/// As TypeScript passes them.
inline auto fields(AddParams& p) { return in_order(p.a, p.b, p.out, p.scale); }

void check(const AddParams& p, Check& c);

}  // namespace warploop
