// Index of the largest element of each row: greedy decoding.
#pragma once
#include "core/check.h"
#include "core/row_status.h"
#include "core/tensor_view.h"

namespace warploop {

struct ArgmaxParams {
  TensorView logits;  // [B, V], f32 | bf16 | f16, rows strided, V >= 1
  TensorView out;     // [B], i32, packed
  TensorView status;  // [B], i32, packed, RowStatus; optional
};

void check(const ArgmaxParams& p, Check& c);

}  // namespace warploop
