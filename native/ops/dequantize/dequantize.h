// Rows of a weight that a checkpoint stores as codes, as floats.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "formats/stored.h"

namespace warploop {

struct DequantizeParams {
  StoredView stored;  // n rows and m inputs of a stored matrix
  TensorView out;     // [n, m], f32 | bf16 | f16, rows strided
};

/// As TypeScript passes them.
inline auto fields(DequantizeParams& p) { return in_order(p.stored, p.out); }

void check(const DequantizeParams& p, Check& c);

}  // namespace warploop
