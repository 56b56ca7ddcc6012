// SwiGLU gate over a fused row of F gates and then F ups.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/swiglu.h"
#include "core/tensor_view.h"

namespace warploop {

struct SiluMulParams {
  TensorView x;    // [T, 2F], f32 | bf16 | f16, rows strided
  TensorView out;  // [T, F], f32 | bf16 | f16, rows strided; must not overlap x
  bool clamped;    // core/swiglu.h
  float limit;     // positive
  float alpha;     // positive
};

/// As TypeScript passes them.
inline auto fields(SiluMulParams& p) { return in_order(p.x, p.out, p.clamped, p.limit, p.alpha); }

void check(const SiluMulParams& p, Check& c);

}  // namespace warploop
