// Groups the (token, choice) pairs of a routed batch by expert, so that each expert works on consecutive
// rows.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct MoePermuteParams {
  TensorView experts;  // [T, K], i32, packed; each in [0, E)
  TensorView order;    // [T*K], i32, packed: flat index t*K + k of the pair at each permuted row
  TensorView inverse;  // [T, K], i32, packed: permuted row of each pair
  TensorView offsets;  // [E+1], i32, packed: expert e owns the rows [offsets[e], offsets[e+1])
};

/// As TypeScript passes them.
inline auto fields(MoePermuteParams& p) { return in_order(p.experts, p.order, p.inverse, p.offsets); }

void check(const MoePermuteParams& p, Check& c);

}  // namespace warploop
