// Gaussian error linear unit, elementwise.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

/// Which formula; the numbers are the order of `geluApproximations` in lib/ops/gelu.ts.
inline constexpr int32_t kGeluErf = 0;   // x * Phi(x), Phi the normal distribution function
inline constexpr int32_t kGeluTanh = 1;  // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))

struct GeluParams {
  TensorView x;         // any shape of rank 1 to 4, f32 | bf16 | f16, rows strided
  TensorView out;       // shape of x, f32 | bf16 | f16, rows strided; may be x
  int32_t approximate;  // kGeluErf | kGeluTanh
};

/// As TypeScript passes them.
inline auto fields(GeluParams& p) { return in_order(p.x, p.out, p.approximate); }

void check(const GeluParams& p, Check& c);

}  // namespace warploop
