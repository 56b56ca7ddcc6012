// Elements beyond a limit, on either side, become the limit.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct ClampParams {
  TensorView x;    // any shape of rank 0 to 4, f32 | bf16 | f16, rows strided
  TensorView out;  // shape of x, f32 | bf16 | f16, rows strided; may be x
  float limit;     // positive
};

/// As TypeScript passes them.
inline auto fields(ClampParams& p) { return in_order(p.x, p.out, p.limit); }

void check(const ClampParams& p, Check& c);

}  // namespace warploop
