#include "formats/formats.h"

namespace warploop {

PackedShape packed_shape(WeightFormat format, DType dtype, const FormatNumbers& numbers,
                         const WeightShape& shape) {
  return dispatch_format(format, [&](auto of) { return of.packed_shape(dtype, numbers, shape); });
}

bool takes(WeightFormat format, const FormatNumbers& numbers) {
  return dispatch_format(format, [&](auto of) { return of.takes(numbers); });
}

void check_weight(const char* name, const WeightView& weight, Check& c) {
  c.that(takes(weight.format, weight.numbers), name, "groups, scales and offsets that its format can have",
         name_of(weight.format));
  c.that(weight.outputs <= kMaxAxis && weight.inputs <= kMaxAxis, name, "axes", weight.outputs);
  c.that(weight.numbers.activation != Activation::int8 || weight.inputs <= kMostInt8Inputs, name,
         "at most 1048576 inputs with activations of int8", weight.inputs);
  const PackedShape expected = packed_shape(weight.format, weight.data.dtype, weight.numbers, weight.shape());
  const unsigned stored = dispatch_format(weight.format, [](auto of) { return of.kStored; });
  c.that(!weight.swiglu || weight.outputs % 2 == 0, name, "an even number of rows (gate and up)",
         weight.outputs);
  c.tensor(name, weight.data).dtype(stored);
  c.shape({expected.experts, expected.rows, expected.pitch}).packed();
}

namespace {

ScaleType separate_scale_of(const StoredView& stored) {
  if (stored.scales.dtype == DType::f32) return ScaleType::f32;
  if (stored.scales.dtype == DType::f16) return ScaleType::f16;
  return stored.scales.dtype == DType::bf16 ? ScaleType::bf16 : ScaleType::e8m0;
}

template <class Format>
PackedStored packed_as(const StoredView& stored) {
  constexpr WeightFormat kFormats[] = {WeightFormat::int8, WeightFormat::int4, WeightFormat::fp4,
                                       WeightFormat::fp8};  // in the order of Codes
  constexpr bool kIsInteger = Format::kCodes == Codes::int8 || Format::kCodes == Codes::int4;
  PackedStored packed{kFormats[static_cast<int>(Format::kCodes)], ScaleType::f16,
                      Format::kHasMinimum ? OffsetType::min : OffsetType::none,
                      kIsInteger && !Format::kHasMinimum};
  if constexpr (Format::kHasScales) {
    packed.scale = separate_scale_of(stored);
    if (stored.zeros) packed.offset = OffsetType::zero;
  } else if constexpr (requires { &Format::outer_minimum; }) {
    packed.scale = ScaleType::f16u8;
    packed.offset = OffsetType::f16u8;
  } else if constexpr (requires { &Format::outer_factor; }) {
    packed.scale = ScaleType::f16s8;
  } else if constexpr (Format::kCodes == Codes::fp4) {
    packed.scale = ScaleType::e8m0;
  }
  return packed;
}

}  // namespace

PackedStored packed_stored(const StoredView& stored) {
  return dispatch_stored(stored.format, [&]<class Format>(Format) { return packed_as<Format>(stored); });
}

unsigned activations_of(const WeightView& weight) {
  return dispatch_format(weight.format, [&](auto of) { return of.activations(weight.data.dtype); });
}

}  // namespace warploop
