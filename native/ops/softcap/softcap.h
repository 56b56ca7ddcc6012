// Soft cap, elementwise: the identity near 0, and never beyond a bound.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct SoftcapParams {
  TensorView x;    // any shape of rank 0 to 4, f32 | bf16 | f16, rows strided
  TensorView out;  // shape of x, f32 | bf16 | f16, rows strided; may be x
  float cap;       // positive: the largest magnitude of out
};

/// As TypeScript passes them.
inline auto fields(SoftcapParams& p) { return in_order(p.x, p.out, p.cap); }

void check(const SoftcapParams& p, Check& c);

}  // namespace warploop
