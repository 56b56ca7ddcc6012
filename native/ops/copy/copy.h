// Copy between tensors of one dtype and shape, whatever their row strides.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct CopyParams {
  TensorView src;  // any shape of rank 1 to 4, any dtype of whole bytes, rows strided
  TensorView dst;  // shape and dtype of src, rows strided; must not overlap src
};

/// As TypeScript passes them.
inline auto fields(CopyParams& p) { return in_order(p.src, p.dst); }

void check(const CopyParams& p, Check& c);

}  // namespace warploop
