#include "bind/arguments.h"

namespace warploop {

namespace {

constexpr double kMaxExtent = 1099511627776.0;  // 2^40: products of two stay far inside 128 bits

[[noreturn, gnu::noinline]] void refuse(double lowest, double highest, double v) {
  fail(ErrorKind::range, "op call: expected an integer between ", lowest, " and ", highest, ", got ", v);
}

inline int64_t integer_of(double v, double lowest, double highest) {
  if (v >= lowest && v <= highest) {  // NaN is not, and what passes converts without overflow
    const auto whole = static_cast<int64_t>(v);
    if (static_cast<double>(whole) == v) return whole;
  }
  refuse(lowest, highest, v);
}

}  // namespace

size_t Arguments::count_of(double count, size_t most) {
  return static_cast<size_t>(integer_of(count, 0, static_cast<double>(most)));
}

void Arguments::refuse_rest() const {
  fail(ErrorKind::type, "op call: ", count_, " numbers were passed, the op reads ", at_,
       "; the addon is of another version: npx warploop build --force");
}

/// The next `count` numbers.
const double* Arguments::take(size_t count) {
  if (count > count_ - at_)
    fail(ErrorKind::type, "op call: ", count_, " numbers were passed, the op reads more",
         "; the addon is of another version: npx warploop build --force");
  at_ += count;
  return values_ + at_ - count;
}

int64_t Arguments::integer(double lowest, double highest) { return integer_of(next(), lowest, highest); }

void Arguments::read(TensorView& field) {
  const double handle = next();
  if (handle >= 0) field = view(handle);  // check() names the missing tensor
}

void Arguments::read(Optional<TensorView>& optional) { read(optional.field); }

void Arguments::read(WeightView& field) {
  Optional<WeightView> weight{field};
  read(weight);
  if (!field.data) fail(ErrorKind::type, "op call: expected a weight, got none");
}

void Arguments::read(Optional<WeightView>& optional) {
  WeightView& w = optional.field;
  const int64_t format = integer(-1, kWeightFormatCount - 1);
  if (format < 0) return;
  w.format = static_cast<WeightFormat>(format);
  w.outputs = integer(0, kMaxExtent);
  w.inputs = integer(0, kMaxExtent);
  if (!(stream_.device().weight_formats() & format_bit(w.format))) {
    fail(ErrorKind::type, "weight: ", stream_.device().name(), " has no kernels for weights in ",
         name_of(w.format));
  }
  read(w.swiglu);
  w.numbers.group = integer(0, kMaxExtent);
  w.numbers.scale = static_cast<ScaleType>(integer(0, kScaleTypeCount - 1));
  w.numbers.offset = static_cast<OffsetType>(integer(0, kOffsetTypeCount - 1));
  w.numbers.activation = static_cast<Activation>(integer(0, kActivationCount - 1));
  if (!(stream_.device().activation_types() & activation_bit(w.numbers.activation)))
    fail(ErrorKind::type, "weight: ", stream_.device().name(), " has no kernels for activations of int8");
  read(w.data);
}

void Arguments::read(StoredView& field) {
  field.format = static_cast<StoredFormat>(integer(0, kStoredFormatCount - 1));
  for (int64_t* number : {&field.stored_rows, &field.stored_inputs, &field.group, &field.scale_rows,
                          &field.first_row, &field.rows, &field.first_input, &field.inputs})
    *number = integer(0, kMaxExtent);
  read(field.add_to_zeros);
  for (TensorView* tensor :
       {&field.codes, &field.scales, &field.zeros, &field.row_order, &field.k_order, &field.g_idx})
    read(*tensor);
}

TensorView Arguments::view(double handle) {
  const MemoryRef& memory = memory_.get(handle);
  TensorView t{};
  const double* head = take(3);
  const int64_t byte_offset = integer_of(head[0], 0, kMaxExtent);
  t.dtype = static_cast<DType>(integer_of(head[1], 0, kDTypeCount - 1));
  t.rank = static_cast<uint8_t>(integer_of(head[2], 0, kMaxRank));

  const double* axes = take(2 * t.rank);
  bool empty = false;
  __int128 last = 0;  // element index of the last element
  for (int i = 0; i < t.rank; i++) {
    t.sizes[i] = integer_of(axes[i], 0, kMaxExtent);
    t.strides[i] = integer_of(axes[t.rank + i], 0, kMaxExtent);
    empty = empty || t.sizes[i] == 0;
    last += static_cast<__int128>(t.sizes[i] - 1) * t.strides[i];
  }
  for (int i = t.rank; i < kMaxRank; i++) t.sizes[i] = 1;
  const int bits = bits_of(t.dtype);
  if (bits >= 8 && (byte_offset & (bits / 8 - 1)) != 0) {  // bits is a power of two
    fail(ErrorKind::range, "op call: tensor at byte ", byte_offset, " is not aligned to its ",
         name_of(t.dtype), " elements");
  }
  // Of a view without elements nothing is touched, wherever in its memory of no bytes it begins.
  const __int128 end = empty ? 0 : byte_offset + ((last + 1) * bits + 7) / 8;
  if (end > static_cast<__int128>(memory->bytes())) {
    fail(ErrorKind::range, "op call: tensor ", shape_text(t), " ", name_of(t.dtype),
         " ends beyond its memory of ", memory->bytes(), " bytes");
  }
  t.data = static_cast<std::byte*>(memory->data()) + (empty ? 0 : byte_offset);
  if (stream_.capturing()) stream_.retain(memory);
  return t;
}

}  // namespace warploop
