// Index of the largest element of each row: greedy decoding.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/row_status.h"
#include "core/tensor_view.h"

namespace warploop {

struct ArgmaxParams {
  TensorView logits;  // [B, V], f32 | bf16 | f16, rows strided, V >= 1
  TensorView out;     // [B], i32, packed
  TensorView status;  // [B], i32, packed, RowStatus; optional
};

/// As TypeScript passes them.
inline auto fields(ArgmaxParams& p) { return in_order(p.logits, p.out, optional(p.status)); }

void check(const ArgmaxParams& p, Check& c);

}  // namespace warploop
