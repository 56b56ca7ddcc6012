// Rotary position embedding of queries and keys, in place.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct RopeParams {
  TensorView q;          // [T, Hq, Dh], f32 | bf16 | f16, rows strided; rotated in place
  TensorView k;          // [T, Hkv, Dh], dtype of q, rows strided; optional; rotated in place
  TensorView positions;  // [T], i32
  TensorView table;      // [Lmax, R], f32, rows strided: R/2 cosines, then R/2 sines; R even, 2 <= R <= Dh
  bool interleaved;      // pairs (2i, 2i + 1) instead of (i, i + R/2)
};

/// As TypeScript passes them.
inline auto fields(RopeParams& p) {
  return in_order(p.q, optional(p.k), p.positions, p.table, p.interleaved);
}

void check(const RopeParams& p, Check& c);

}  // namespace warploop
