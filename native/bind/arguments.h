// How op arguments cross from JavaScript: lib/stream.ts writes them as numbers into one shared Float64Array,
// the op's bind function reads them here in the same order. A tensor is
//   [memory handle, byte offset, dtype, rank, sizes..., strides...]      (absent: handle -1 alone)
// Everything is verified: whatever the numbers say, a view never leaves the memory that its handle names.
#pragma once
#include <cstddef>

#include "bind/handles.h"
#include "core/memory.h"
#include "core/stream.h"
#include "core/tensor_view.h"

namespace warploop {

class Arguments {
 public:
  Arguments(const double* values, size_t capacity, const bind::HandleTable<Memory>& memory, Stream& stream)
      : values_(values), capacity_(capacity), memory_(memory), stream_(stream) {}

  TensorView tensor();
  /// A view with data == nullptr when JavaScript passed none.
  TensorView optional_tensor();
  float f32() { return static_cast<float>(next()); }
  int32_t i32() { return static_cast<int32_t>(integer(-2147483648.0, 2147483647.0)); }
  bool flag() { return next() != 0; }

 private:
  const double* take(size_t count);
  double next() { return *take(1); }
  int64_t integer(double lowest, double highest);
  TensorView view(double handle);

  const double* values_;
  size_t capacity_;
  size_t at_ = 0;
  const bind::HandleTable<Memory>& memory_;
  Stream& stream_;
};

}  // namespace warploop
