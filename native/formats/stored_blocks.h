// The stored formats of GGUF: rows are blocks of 32 or 256 inputs, which have their scales inside. Layouts as
// in ggml (ggml-common.h). Included by formats/stored.h.
#pragma once
#include "formats/stored.h"

namespace warploop {

/// Blocks of `inputs` inputs and `bytes` bytes, with groups of `group`.
template <int inputs, int bytes, int64_t group>
struct Blocks {
  static constexpr bool kHasScales = false, kKMajor = false;
  static constexpr int kBlock = inputs, kRowUnit = 1, kZeroRows = 0;
  static constexpr int64_t kGroup = group;
  WARPLOOP_STORED_FN int64_t code_bytes(int64_t rows, int64_t K) { return rows * (K / inputs * bytes); }
  WARPLOOP_STORED_FN const uint8_t* block(const StoredData& s, int64_t row, int64_t k) {
    return s.row_at(row, code_bytes(1, s.stored_inputs)) + k / inputs * bytes;
  }
  WARPLOOP_STORED_FN bool is_nan_factor(const StoredData&, int64_t, int64_t) { return false; }
};

/// f16 d, and `header` bytes before the codes.
template <int bytes>
struct SmallBlocks : Blocks<32, bytes, 32> {
  using Base = Blocks<32, bytes, 32>;
  WARPLOOP_STORED_FN uint32_t factor_bits(const StoredData& s, int64_t row, int64_t g) {
    return bits_16(Base::block(s, row, 32 * g));
  }
  WARPLOOP_STORED_FN float factor(const StoredData& s, int64_t row, int64_t g) {
    return f16_value(factor_bits(s, row, g));
  }
  /// The low four bits: 16 bytes at `header`, elements 0 to 15 in the low nibbles.
  template <int header>
  WARPLOOP_STORED_FN int32_t low_bits(const StoredData& s, int64_t row, int64_t k) {
    return Base::block(s, row, k)[header + k % 16] >> (k % 32 / 16 * 4) & 15;
  }
  /// The fifth bits: 4 bytes before these.
  template <int header>
  WARPLOOP_STORED_FN int32_t five_bits(const StoredData& s, int64_t row, int64_t k) {
    const int32_t high = Base::block(s, row, k)[header - 4 + k % 32 / 8] >> (k % 8) & 1;
    return low_bits<header>(s, row, k) | high << 4;
  }
};

/// No minimum.
struct Centred {
  static constexpr bool kHasMinimum = false;
  WARPLOOP_STORED_FN float minimum(const StoredData&, int64_t, int64_t) { return 0; }
};

/// f16 m behind d, which is added.
template <int bytes>
struct Raised : SmallBlocks<bytes> {
  static constexpr bool kHasMinimum = true;
  WARPLOOP_STORED_FN uint32_t minimum_bits(const StoredData& s, int64_t row, int64_t g) {
    return bits_16(SmallBlocks<bytes>::block(s, row, 32 * g) + 2) ^ 0x8000u;
  }
  WARPLOOP_STORED_FN float minimum(const StoredData& s, int64_t row, int64_t g) {
    return f16_value(minimum_bits(s, row, g));
  }
};

struct StoredQ8_0 : SmallBlocks<34>, Centred {
  static constexpr Codes kCodes = Codes::int8;
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return static_cast<int8_t>(block(s, row, k)[2 + k % 32]);
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 0; }
};

struct StoredQ4_0 : SmallBlocks<18>, Centred {
  static constexpr Codes kCodes = Codes::int4;
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return low_bits<2>(s, row, k);
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 8; }
};

struct StoredQ4_1 : Raised<20> {
  static constexpr Codes kCodes = Codes::int4;
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return low_bits<4>(s, row, k);
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 0; }
};

struct StoredQ5_0 : SmallBlocks<22>, Centred {
  static constexpr Codes kCodes = Codes::int8;
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return five_bits<6>(s, row, k) - 16;
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 0; }
};

struct StoredQ5_1 : Raised<24> {
  static constexpr Codes kCodes = Codes::int8;
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return five_bits<8>(s, row, k);
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 0; }
};

/// f16 d and dmin, then 12 bytes with six bits of scale and six of minimum for each of eight groups: those of
/// groups 0 to 3 in one byte each, of groups 4 to 7 four bits in bytes 8 to 11 and two on top of the former.
template <int bytes>
struct BigBlocks : Blocks<256, bytes, 32> {
  static constexpr bool kHasMinimum = true;
  using Base = Blocks<256, bytes, 32>;
  WARPLOOP_STORED_FN uint32_t outer_factor(const StoredData& s, int64_t row, int64_t g) {
    return bits_16(Base::block(s, row, 32 * g));
  }
  WARPLOOP_STORED_FN uint32_t outer_minimum(const StoredData& s, int64_t row, int64_t g) {
    return bits_16(Base::block(s, row, 32 * g) + 2);
  }
  WARPLOOP_STORED_FN int32_t inner_factor(const StoredData& s, int64_t row, int64_t g) {
    const uint8_t* packed = Base::block(s, row, 32 * g) + 4;
    const int64_t i = g % 8;
    return i < 4 ? packed[i] & 63 : (packed[i + 4] & 15) | packed[i - 4] >> 6 << 4;
  }
  WARPLOOP_STORED_FN int32_t inner_minimum(const StoredData& s, int64_t row, int64_t g) {
    const uint8_t* packed = Base::block(s, row, 32 * g) + 4;
    const int64_t i = g % 8;
    return i < 4 ? packed[i + 4] & 63 : packed[i + 4] >> 4 | packed[i] >> 6 << 4;
  }
  WARPLOOP_STORED_FN float factor(const StoredData& s, int64_t row, int64_t g) {
    return f16_value(outer_factor(s, row, g)) * static_cast<float>(inner_factor(s, row, g));
  }
  WARPLOOP_STORED_FN float minimum(const StoredData& s, int64_t row, int64_t g) {
    return f16_value(outer_minimum(s, row, g)) * static_cast<float>(inner_minimum(s, row, g));
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 0; }
  /// 32 bytes at `header` for each two groups: the first in the low nibbles.
  template <int header>
  WARPLOOP_STORED_FN int32_t low_bits(const StoredData& s, int64_t row, int64_t k) {
    return Base::block(s, row, k)[header + k % 256 / 64 * 32 + k % 32] >> (k % 64 / 32 * 4) & 15;
  }
};

struct StoredQ4K : BigBlocks<144> {
  static constexpr Codes kCodes = Codes::int4;
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return low_bits<16>(s, row, k);
  }
};

/// The fifth bits of group g are bits g of 32 bytes.
struct StoredQ5K : BigBlocks<176> {
  static constexpr Codes kCodes = Codes::int8;
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    const int32_t high = block(s, row, k)[16 + k % 32] >> (k % 256 / 32) & 1;
    return low_bits<48>(s, row, k) | high << 4;
  }
};

/// 128 bytes of low nibbles, 64 of two bits each, signed scales of 16 inputs, f16 d.
struct StoredQ6K : Blocks<256, 210, 16>, Centred {
  static constexpr Codes kCodes = Codes::int8;
  WARPLOOP_STORED_FN uint32_t outer_factor(const StoredData& s, int64_t row, int64_t g) {
    return bits_16(block(s, row, 16 * g) + 208);
  }
  WARPLOOP_STORED_FN int32_t inner_factor(const StoredData& s, int64_t row, int64_t g) {
    return static_cast<int8_t>(block(s, row, 16 * g)[192 + g % 16]);
  }
  WARPLOOP_STORED_FN float factor(const StoredData& s, int64_t row, int64_t g) {
    return f16_value(outer_factor(s, row, g)) * static_cast<float>(inner_factor(s, row, g));
  }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    const uint8_t* bytes = block(s, row, k);
    const int64_t half = k % 256 / 128, quarter = k % 128 / 32, i = k % 32;
    const int32_t low = bytes[half * 64 + quarter % 2 * 32 + i] >> (quarter / 2 * 4) & 15;
    return (low | (bytes[128 + half * 32 + i] >> (2 * quarter) & 3) << 4) - 32;
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 0; }
};

/// e8m0, then 16 bytes, elements 0 to 15 in the low nibbles.
struct StoredMxfp4Gguf : Blocks<32, 17, 32>, Centred {
  static constexpr Codes kCodes = Codes::fp4;
  WARPLOOP_STORED_FN uint32_t factor_bits(const StoredData& s, int64_t row, int64_t g) {
    return block(s, row, 32 * g)[0];
  }
  WARPLOOP_STORED_FN float factor(const StoredData& s, int64_t row, int64_t g) {
    return e8m0_value(factor_bits(s, row, g));
  }
  WARPLOOP_STORED_FN bool is_nan_factor(const StoredData& s, int64_t row, int64_t g) {
    return factor_bits(s, row, g) == 255;
  }
  WARPLOOP_STORED_FN int32_t code(const StoredData& s, int64_t row, int64_t k) {
    return block(s, row, k)[1 + k % 16] >> (k % 32 / 16 * 4) & 15;
  }
  WARPLOOP_STORED_FN int32_t zero(const StoredData&, int64_t, int64_t) { return 0; }
};

}  // namespace warploop
