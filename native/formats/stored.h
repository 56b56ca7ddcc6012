// What stored formats mean: code, scale, zero point and minimum of every element, read from the bytes of a
// file. One struct for each row of WARPLOOP_STORED_FORMATS; all devices and all ops read through them.
//
//     value = (code - zero) scale - minimum
//
// in f32. code - zero and scale are exact, so is a minimum, and so is the product wherever there is a
// minimum: one rounding.
//
// A struct has:
//   kCodes, kGroup       what its codes are; inputs of a group, or 0: the view says
//   kBlock, kRowUnit     inputs and rows come in multiples of them
//   kZeroRows            rows whose zero points share a word (1: none do; 0: there are none)
//   code_bytes(n, K)     of the codes of n rows
//   code(s, row, k)      a number of int8 and int4, the bits of fp4 and fp8
//   zero(s, row, g)      of int8 and int4
//   factor(s, row, g)    the scale; minimum(s, row, g) likewise. `..._bits` as they are stored, `outer_...`
//                        and `inner_...` where they have two levels
// `row` is a stored row, `k` a stored input, `g` a group.
#pragma once
#include <bit>

#include "core/check.h"
#include "core/dtype.h"
#include "formats/stored_view.h"

// Always inline: compiled with several instruction sets, and the linker may not choose among them.
#define WARPLOOP_STORED_FN [[gnu::always_inline]] static constexpr
#define WARPLOOP_STORED_INLINE [[gnu::always_inline]] constexpr

namespace warploop {

WARPLOOP_STORED_FN uint32_t bits_16(const uint8_t* p) { return p[0] | static_cast<uint32_t>(p[1]) << 8; }

/// Exact, subnormal ones too.
WARPLOOP_STORED_FN float f16_value(uint32_t bits) {
  const uint32_t magnitude = (bits & 0x7fffu) << 13, sign = (bits & 0x8000u) << 16;
  if (magnitude >= 0x0f800000u) return std::bit_cast<float>(magnitude | 0x7f800000u | sign);
  return std::bit_cast<float>(magnitude | sign) * 0x1p112f;
}
WARPLOOP_STORED_FN float e8m0_value(uint32_t bits) {
  return bits == 0 ? 0x1p-127f : std::bit_cast<float>(bits << 23);
}
/// Not of 0x7f and 0xff, which are NaN.
WARPLOOP_STORED_FN float e4m3_value(uint32_t bits) {
  return std::bit_cast<float>((bits & 0x7fu) << 20 | (bits & 0x80u) << 24) * 0x1p120f;
}
/// 0 .5 1 1.5 2 3 4 6 and their negatives.
WARPLOOP_STORED_FN float e2m1_value(uint32_t bits) {
  return std::bit_cast<float>((bits & 7u) << 22 | (bits & 8u) << 28) * 0x1p126f;
}

/// What a code counts as: code - zero.
template <Codes codes>
WARPLOOP_STORED_FN float number_of(int32_t code, int32_t zero) {
  if constexpr (codes == Codes::fp8) return e4m3_value(static_cast<uint32_t>(code));
  if constexpr (codes == Codes::fp4) return e2m1_value(static_cast<uint32_t>(code));
  return static_cast<float>(code - zero);
}
template <Codes codes>
WARPLOOP_STORED_FN bool is_nan_code(int32_t code) {
  return codes == Codes::fp8 && (code & 0x7f) == 0x7f;
}

/// The pointers and numbers of a view.
struct StoredData {
  const uint8_t *codes, *scales, *zeros;
  const int32_t *row_order, *k_order, *g_idx;
  int64_t stored_rows, stored_inputs, group, groups, scale_rows, first_row, some_rows, first_input;
  int32_t add_to_zeros;
  DType scale_dtype;

  WARPLOOP_STORED_INLINE int64_t row(int64_t i) const { return row_order ? row_order[i] : first_row + i; }
  WARPLOOP_STORED_INLINE int64_t input(int64_t j) const {
    return k_order ? k_order[first_input + j] : first_input + j;
  }
  WARPLOOP_STORED_INLINE int64_t group_of(int64_t k) const {
    return g_idx ? g_idx[k] : group == 0 ? 0 : k / group;
  }
  /// Whether the codes of a row are at hand.
  WARPLOOP_STORED_INLINE bool has_row(int64_t row) const {
    return row >= first_row && row < first_row + some_rows;
  }
  WARPLOOP_STORED_INLINE bool has_input(int64_t k) const { return k >= 0 && k < stored_inputs; }
  WARPLOOP_STORED_INLINE bool has_group(int64_t g) const { return g >= 0 && g < groups; }
  WARPLOOP_STORED_INLINE const uint8_t* row_at(int64_t row, int64_t row_bytes) const {
    return codes + (row - first_row) * row_bytes;
  }
  /// The index of a scale; [groups, N] where scales follow the inputs.
  WARPLOOP_STORED_INLINE int64_t scale_at(int64_t row, int64_t g, bool k_major) const {
    return k_major ? g * stored_rows + row : row / scale_rows * groups + g;
  }
};

/// Formats whose scales are a tensor beside the codes.
template <bool k_major>
struct SeparateScales {
  static constexpr bool kHasScales = true, kHasMinimum = false, kKMajor = k_major;
  static constexpr int kBlock = 1;  // inputs must be a multiple of it
  static constexpr int64_t kGroup = 0;
  /// The bits of an element of `scales`, whatever its type.
  WARPLOOP_STORED_FN uint32_t factor_bits(const StoredData& s, int64_t row, int64_t g) {
    const int64_t at = s.scale_at(row, g, k_major);
    if (s.scale_dtype == DType::u8) return s.scales[at];
    if (s.scale_dtype != DType::f32) return bits_16(s.scales + 2 * at);
    return bits_16(s.scales + 4 * at) | bits_16(s.scales + 4 * at + 2) << 16;
  }
  WARPLOOP_STORED_FN float factor(const StoredData& s, int64_t row, int64_t g) {
    const uint32_t bits = factor_bits(s, row, g);
    if (s.scale_dtype == DType::u8) return e8m0_value(bits);
    if (s.scale_dtype == DType::f16) return f16_value(bits);
    return std::bit_cast<float>(s.scale_dtype == DType::bf16 ? bits << 16 : bits);
  }
  /// e8m0 has no other NaN.
  WARPLOOP_STORED_FN bool is_nan_factor(const StoredData& s, int64_t row, int64_t g) {
    return s.scale_dtype == DType::u8 && factor_bits(s, row, g) == 255;
  }
  WARPLOOP_STORED_FN float minimum(const StoredData&, int64_t, int64_t) { return 0; }
};

WARPLOOP_STORED_FN int32_t nibble(const uint8_t* words, int64_t word, int64_t i) {
  return words[4 * word + i / 2] >> (i % 2 * 4) & 15;
}

struct StoredInt8 : SeparateScales<false> {
  static constexpr Codes kCodes = Codes::int8;
  static constexpr int kRowUnit = 1, kZeroRows = 1;
  WARPLOOP_STORED_FN int64_t code_bytes(int64_t rows, int64_t K) { return rows * K; }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return static_cast<int8_t>(s.row_at(row, s.stored_inputs)[k]);
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData& s, int64_t row, int64_t g) {
    return s.zeros ? static_cast<int8_t>(s.zeros[s.scale_at(row, g, false)]) : 0;
  }
};

struct StoredFp8 : SeparateScales<false> {
  static constexpr Codes kCodes = Codes::fp8;
  static constexpr int kRowUnit = 1, kZeroRows = 0;
  WARPLOOP_STORED_FN int64_t code_bytes(int64_t rows, int64_t K) { return rows * K; }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return s.row_at(row, s.stored_inputs)[k];
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 0; }
};

/// Words along K, the first code in the lowest bits; words of zero points along N.
struct StoredPacked4 : SeparateScales<false> {
  static constexpr Codes kCodes = Codes::int4;
  static constexpr int kRowUnit = 1, kZeroRows = 8;
  WARPLOOP_STORED_FN int64_t code_bytes(int64_t rows, int64_t K) { return rows * ((K + 7) / 8 * 4); }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return nibble(s.row_at(row, code_bytes(1, s.stored_inputs)), k / 8, k % 8);
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData& s, int64_t row, int64_t g) {
    return s.zeros ? nibble(s.zeros, row / 8 * s.groups + g, row % 8) : 8;
  }
};

struct StoredPacked8 : SeparateScales<false> {
  static constexpr Codes kCodes = Codes::int8;
  static constexpr int kRowUnit = 1, kZeroRows = 4;
  WARPLOOP_STORED_FN int64_t code_bytes(int64_t rows, int64_t K) { return rows * ((K + 3) / 4 * 4); }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return s.row_at(row, code_bytes(1, s.stored_inputs))[k] - 128;
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData& s, int64_t row, int64_t g) {
    return s.zeros ? s.zeros[4 * (row / 4 * s.groups + g) + row % 4] - 128 : 0;
  }
};

/// Words along K, one below the other for each row; words of zero points along N.
struct StoredGptq4 : SeparateScales<true> {
  static constexpr Codes kCodes = Codes::int4;
  static constexpr int kBlock = 8, kRowUnit = 1, kZeroRows = 8;
  WARPLOOP_STORED_FN int64_t code_bytes(int64_t rows, int64_t K) { return K / 8 * rows * 4; }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return nibble(s.codes, k / 8 * s.some_rows + row - s.first_row, k % 8);
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData& s, int64_t row, int64_t g) {
    const int64_t words = (s.stored_rows + 7) / 8;
    return s.zeros ? (nibble(s.zeros, g * words + row / 8, row % 8) + s.add_to_zeros) & 15 : 8;
  }
};

/// The same of bytes.
struct StoredGptq8 : SeparateScales<true> {
  static constexpr Codes kCodes = Codes::int8;
  static constexpr int kBlock = 4, kRowUnit = 1, kZeroRows = 4;
  WARPLOOP_STORED_FN int64_t code_bytes(int64_t rows, int64_t K) { return K / 4 * rows * 4; }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return s.codes[4 * (k / 4 * s.some_rows + row - s.first_row) + k % 4] - 128;
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData& s, int64_t row, int64_t g) {
    const int64_t words = (s.stored_rows + 3) / 4;
    return s.zeros ? ((s.zeros[4 * g * words + row] + s.add_to_zeros) & 255) - 128 : 0;
  }
};

/// Words along N, whose nibbles are columns 0 2 4 6 1 3 5 7, of codes and of zero points.
struct StoredAwq4 : SeparateScales<true> {
  static constexpr Codes kCodes = Codes::int4;
  static constexpr int kRowUnit = 8, kZeroRows = 8;
  WARPLOOP_STORED_FN int64_t place(int64_t row) { return row % 8 / 2 + row % 2 * 4; }
  WARPLOOP_STORED_FN int64_t code_bytes(int64_t rows, int64_t K) { return K * (rows / 8) * 4; }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return nibble(s.codes, k * (s.some_rows / 8) + (row - s.first_row) / 8, place(row));
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData& s, int64_t row, int64_t g) {
    return s.zeros ? nibble(s.zeros, g * (s.stored_rows / 8) + row / 8, place(row)) : 8;
  }
};

/// Neighbours share a byte.
struct StoredMxfp4 : SeparateScales<false> {
  static constexpr Codes kCodes = Codes::fp4;
  static constexpr int kBlock = 32, kRowUnit = 1, kZeroRows = 0;
  static constexpr int64_t kGroup = 32;
  WARPLOOP_STORED_FN int64_t code_bytes(int64_t rows, int64_t K) { return rows * (K / 2); }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return s.row_at(row, s.stored_inputs / 2)[k / 2] >> (k % 2 * 4) & 15;
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 0; }
};

}  // namespace warploop

#include "formats/stored_blocks.h"

namespace warploop {

/// Calls fn(Format{}) for the struct behind a stored format.
template <class Fn>
decltype(auto) dispatch_stored(StoredFormat format, const Fn& fn) {
  switch (format) {
#define WARPLOOP_STORED(name, Name) \
  case StoredFormat::name:          \
    return fn(Name{});
    WARPLOOP_STORED_FORMATS(WARPLOOP_STORED)
#undef WARPLOOP_STORED
  }
  __builtin_unreachable();  // Arguments reads no other number
}

/// What is the same for all elements of a row and a group.
struct StoredGroup {
  float scale, minimum;
  int32_t zero;
};
template <class Format>
WARPLOOP_STORED_FN StoredGroup stored_group(const StoredData& s, int64_t row, int64_t g) {
  return {Format::factor(s, row, g), Format::minimum(s, row, g), Format::zero(s, row, g)};
}
template <class Format>
WARPLOOP_STORED_FN float stored_value(int32_t code, const StoredGroup& group) {
  const float product = number_of<Format::kCodes>(code, group.zero) * group.scale;
  if constexpr (Format::kHasMinimum) return product - group.minimum;
  return product;
}

/// Rows whose codes are at hand.
int64_t stored_rows_at_hand(const StoredView& view);
StoredData stored_data(const StoredView& view);

/// The matcher for stored rows.
void check_stored(const char* name, const StoredView& view, Check& c);

}  // namespace warploop
