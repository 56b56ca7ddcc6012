// Conversion between float dtypes.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct CastParams {
  TensorView x;    // any shape of rank 1 to 4, f32 | bf16 | f16, rows strided
  TensorView out;  // shape of x, f32 | bf16 | f16, rows strided; may be x if the dtypes agree
  int32_t dtype;   // the dtype that the caller asked for, a number of DType; out must have it
};

/// As TypeScript passes them.
inline auto fields(CastParams& p) { return in_order(p.x, p.out, p.dtype); }

void check(const CastParams& p, Check& c);

}  // namespace warploop
