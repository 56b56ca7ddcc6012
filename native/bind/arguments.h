// How op arguments cross from JavaScript: lib/device/stream.ts writes them as numbers into one shared
// Float64Array, behind how many they are; the op's bind function reads them here in the same order.
//
// A tensor is
//   [memory handle, byte offset, dtype, rank, sizes..., strides...]      (absent: handle -1 alone)
// A weight is the number of its format, outputs, inputs, swiglu, then its tensors (absent: -1 alone).
// Everything is verified: whatever the numbers say, a view never leaves the memory that its handle names, and
// an op that does not read exactly what was passed is not queued.
#pragma once
#include <cstddef>

#include "bind/handles.h"
#include "core/memory.h"
#include "core/stream.h"
#include "core/tensor_view.h"
#include "formats/weight_view.h"

namespace warploop {

class Arguments {
 public:
  /// `block` holds a count and room for `capacity` - 1 numbers.
  Arguments(const double* block, size_t capacity, const bind::HandleTable<Memory>& memory, Stream& stream)
      : values_(block + 1), count_(count_of(block[0], capacity - 1)), memory_(memory), stream_(stream) {}

  TensorView tensor();
  /// A view with data == nullptr when JavaScript passed none.
  TensorView optional_tensor();
  WeightView weight();
  /// A view without data when JavaScript passed none.
  WeightView optional_weight();
  float f32() { return static_cast<float>(next()); }
  int32_t i32() { return static_cast<int32_t>(integer(-2147483648.0, 2147483647.0)); }
  bool flag() { return next() != 0; }

  /// Verifies that everything was read, and queues the op.
  template <OpId op, class Params>
  void submit(const Params& p) {
    if (at_ != count_) refuse_rest();
    stream_.submit<op>(p);
  }

 private:
  static size_t count_of(double count, size_t most);
  [[noreturn]] void refuse_rest() const;
  const double* take(size_t count);
  double next() { return *take(1); }
  int64_t integer(double lowest, double highest);
  TensorView view(double handle);

  const double* values_;
  size_t count_;
  size_t at_ = 0;
  const bind::HandleTable<Memory>& memory_;
  Stream& stream_;
};

}  // namespace warploop
