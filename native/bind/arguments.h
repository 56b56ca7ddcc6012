// How op arguments cross from JavaScript: lib/device/stream.ts writes them as numbers into one shared
// Float64Array, behind how many they are; they are read here in the order of the op's `fields`
// (core/fields.h).
//
// A tensor is
//   [memory handle, byte offset, dtype, rank, sizes..., strides...]      (absent: handle -1 alone)
// A weight is the number of its format, outputs, inputs, swiglu, the FormatNumbers, then its tensor (absent:
// -1 alone).
// Stored rows are the numbers and then the tensors of StoredView, in the order of `read`.
// Everything is verified: whatever the numbers say, a view never leaves the memory that its handle names, and
// an op that does not read exactly what was passed is not queued.
#pragma once
#include <cstddef>
#include <tuple>
#include <type_traits>

#include "bind/handles.h"
#include "core/fields.h"
#include "core/memory.h"
#include "core/stream.h"
#include "core/tensor_view.h"
#include "formats/stored_view.h"
#include "formats/weight_view.h"

namespace warploop {

class Arguments {
 public:
  /// `block` holds a count and room for `capacity` - 1 numbers.
  Arguments(const double* block, size_t capacity, const bind::HandleTable<Memory>& memory, Stream& stream)
      : values_(block + 1), count_(count_of(block[0], capacity - 1)), memory_(memory), stream_(stream) {}

  /// Reads the fields of an op's Params, verifies that this was everything, and queues the op.
  template <OpId op, class Params>
  void submit() {
    Params p{};
    std::apply([this](auto&&... field) { (read(field), ...); }, fields(p));
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

  void read(TensorView& field);
  void read(WeightView& field);
  void read(StoredView& field);
  void read(Optional<TensorView>& optional);
  void read(Optional<WeightView>& optional);
  void read(float& field) { field = static_cast<float>(next()); }
  void read(int32_t& field) { field = static_cast<int32_t>(integer(-2147483648.0, 2147483647.0)); }
  void read(bool& field) { field = next() != 0; }
  template <class Enum>
    requires std::is_enum_v<Enum>
  void read(Enum& field) {
    int32_t number;
    read(number);
    field = static_cast<Enum>(number);
  }

  const double* values_;
  size_t count_;
  size_t at_ = 0;
  const bind::HandleTable<Memory>& memory_;
  Stream& stream_;
};

}  // namespace warploop
