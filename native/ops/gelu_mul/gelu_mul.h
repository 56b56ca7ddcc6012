// GEGLU gate over a fused row of F gates and then F ups.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct GeluMulParams {
  TensorView x;         // [T, 2F], f32 | bf16 | f16, rows strided
  TensorView out;       // [T, F], f32 | bf16 | f16, rows strided; must not overlap x
  int32_t approximate;  // kGeluErf | kGeluTanh of ops/gelu/gelu.h
};

/// As TypeScript passes them.
inline auto fields(GeluMulParams& p) { return in_order(p.x, p.out, p.approximate); }

void check(const GeluMulParams& p, Check& c);

}  // namespace warploop
