// A weight of codes as kernels get it (formats/coded_rows.h), and what its records say.
#pragma once
#include "cuda/device/unpack_codes.cuh"
#include "formats/quantised.h"

namespace warploop::cuda {

struct CodedWeight {
  const std::byte* data;
  int64_t matrix_bytes, row_bytes;
  int64_t rows;  // of a matrix; a multiple of 16
  int64_t K;
  int chunks, parts;
  CodedRows::Record record;
  FormatNumbers numbers;
  Codes codes;

  constexpr const std::byte* row(int64_t matrix, int64_t row) const {
    return data + matrix * matrix_bytes + row * row_bytes;
  }
  constexpr int64_t records() const { return int64_t{chunks} * CodedRows::kChunkBytes; }  // in a row
};

inline Codes codes_of(WeightFormat format) {
  return static_cast<Codes>(static_cast<int>(format) - static_cast<int>(WeightFormat::int8));
}

template <Codes codes_>
struct CodesTag {};
/// Calls fn(CodesTag<codes>{}).
template <class Fn>
void dispatch_codes(Codes codes, const Fn& fn) {
  switch (codes) {
    case Codes::int8:
      return fn(CodesTag<Codes::int8>{});
    case Codes::int4:
      return fn(CodesTag<Codes::int4>{});
    case Codes::fp4:
      return fn(CodesTag<Codes::fp4>{});
    case Codes::fp8:
      return fn(CodesTag<Codes::fp8>{});
  }
}

inline CodedWeight coded_weight(const WeightView& w) {
  const Codes codes = codes_of(w.format);
  const int parts = CodedRows::parts(codes, w.numbers.group, w.inputs);
  return {w.data.as<std::byte>(),
          w.data.stride(0),
          CodedRows::row_bytes(codes, w.inputs, w.numbers),
          w.data.size(1),
          w.inputs,
          static_cast<int>(CodedRows::chunks(codes, w.inputs)),
          parts,
          CodedRows::record(w.numbers, parts),
          w.numbers,
          codes};
}

/// value = (code - zero) scale - minimum
struct PartScale {
  float scale, zero, minimum;
};

/// @param outer of two levels: the first
WARPLOOP_DEVICE float scale_value(ScaleType type, const uint8_t* at, const uint8_t* outer) {
  switch (type) {
    case ScaleType::f32:
      return std::bit_cast<float>(bits_16(at) | bits_16(at + 2) << 16);
    case ScaleType::f16:
      return f16_value(bits_16(at));
    case ScaleType::bf16:
      return std::bit_cast<float>(bits_16(at) << 16);
    case ScaleType::e8m0:
      return e8m0_value(*at);
    case ScaleType::f16u8:
      return f16_value(bits_16(outer)) * static_cast<float>(*at);
    default:
      return f16_value(bits_16(outer)) * static_cast<float>(static_cast<int8_t>(*at));
  }
}

/// What a record says of part `index`.
template <Codes codes>
WARPLOOP_DEVICE PartScale part_scale(const CodedWeight& w, const uint8_t* record, int index) {
  const FormatNumbers& n = w.numbers;
  const float scale =
      scale_value(n.scale, record + index * scale_bytes(n.scale), record + w.record.outer_scale);
  const uint8_t* const offset = record + w.record.offsets + index * offset_bytes(n.offset);
  switch (n.offset) {
    case OffsetType::zero:
      return {scale, static_cast<float>(codes == Codes::int8 ? static_cast<int8_t>(*offset) : *offset), 0};
    case OffsetType::min:
      return {scale, 0, f16_value(bits_16(offset))};
    case OffsetType::f16u8:
      return {scale, 0, f16_value(bits_16(record + w.record.outer_offset)) * static_cast<float>(*offset)};
    default:
      return {scale, codes == Codes::int4 ? 8.0f : 0.0f, 0};
  }
}

}  // namespace warploop::cuda
