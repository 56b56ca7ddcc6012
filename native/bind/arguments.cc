#include "bind/arguments.h"

#include <cmath>

namespace warploop {

namespace {
constexpr double kMaxExtent = 1099511627776.0;  // 2^40: products of two stay far inside 128 bits
}

double Arguments::next() {
  if (at_ >= capacity_) fail(ErrorKind::type, "op call: too many arguments");
  return values_[at_++];
}

int64_t Arguments::integer(double lowest, double highest) {
  const double v = next();
  if (!(v >= lowest && v <= highest) || v != std::floor(v)) {
    fail(ErrorKind::range, "op call: expected an integer between ", lowest, " and ", highest, ", got ", v);
  }
  return static_cast<int64_t>(v);
}

TensorView Arguments::tensor() {
  const double handle = next();
  if (handle < 0) return TensorView{};  // check() names the missing tensor
  return view(handle);
}

TensorView Arguments::optional_tensor() { return tensor(); }

TensorView Arguments::view(double handle) {
  const MemoryRef& memory = memory_.get(handle);
  TensorView t{};
  const int64_t byte_offset = integer(0, kMaxExtent);
  t.dtype = static_cast<DType>(integer(0, kDTypeCount - 1));
  t.rank = static_cast<uint8_t>(integer(0, kMaxRank));
  for (int i = 0; i < kMaxRank; i++) t.sizes[i] = i < t.rank ? integer(0, kMaxExtent) : 1;
  for (int i = 0; i < t.rank; i++) t.strides[i] = integer(0, kMaxExtent);

  bool empty = false;
  __int128 last = 0;  // element index of the last element
  for (int i = 0; i < t.rank; i++) {
    empty = empty || t.sizes[i] == 0;
    last += static_cast<__int128>(t.sizes[i] - 1) * t.strides[i];
  }
  const int bits = bits_of(t.dtype);
  if (bits >= 8 && byte_offset % (bits / 8) != 0) {
    fail(ErrorKind::range, "op call: tensor at byte ", byte_offset, " is not aligned to its ", name_of(t.dtype), " elements");
  }
  const __int128 end = empty ? byte_offset : byte_offset + ((last + 1) * bits + 7) / 8;
  if (end > static_cast<__int128>(memory->bytes())) {
    fail(ErrorKind::range, "op call: tensor ", shape_text(t), " ", name_of(t.dtype), " ends beyond its memory of ",
         memory->bytes(), " bytes");
  }
  t.data = static_cast<std::byte*>(memory->data()) + byte_offset;
  if (stream_.capturing()) stream_.retain(memory);
  return t;
}

}  // namespace warploop
