// Activations as bytes: rows of x, quantised once for a product.
//
// Blocks of x have a step, codes are round(x / step), to nearest even, in -127 to 127:
//   wide blocks of 128 inputs: step = max |x| / 127 of the block
//   else blocks of 32: step = r 2^e, r = max |x| / 127 of the row, e from -24 to 0 the least that reaches the
//   block. Products then multiply with 2^e, and once in the end with r
// All of it is f32, each operation rounded by itself, so that every instruction set writes the same codes. A
// row with NaN or infinity gives NaN.
#pragma once
#include <algorithm>

#include "cpu/codes.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int64_t kWideBlock = 128, kNarrowBlock = 32;
inline constexpr float kLeastRow = 1e-28f;  // below, a row is one of zeros
inline constexpr int kLeastExponent = -24;

/// What belongs to one integer sum.
struct DotNumbers {
  float factor;    // multiplies it
  float weighted;  // sum of the codes, times the factor
  int32_t sum;     // of the codes
  int32_t start;   // what it begins with (kByteBias)
};

/// How the rows of one product are cut: inputs behind one integer sum, 16, 32 or 128, a divisor of the
/// weight's group.
struct Int8Shape {
  int64_t inputs, dot;

  constexpr int64_t block() const { return std::max(dot, kNarrowBlock); }
  constexpr bool is_wide() const { return dot == kWideBlock; }
  constexpr int64_t padded() const { return (inputs + kWideBlock - 1) / kWideBlock * kWideBlock; }
  /// Integer sums of a row.
  constexpr int64_t dots() const { return padded() / dot; }
  /// Of a row, with what keeps rows apart in a cache (separate_rows of cpu/gemm.h).
  constexpr int64_t row_bytes() const {
    return padded() + dots() * static_cast<int64_t>(sizeof(DotNumbers)) + 64 + 64;
  }
};

/// One row: a scale, codes, numbers.
struct Int8Row {
  Int8Row() = default;
  Int8Row(std::byte* at, const Int8Shape& shape)
      : scale(reinterpret_cast<float*>(at)),
        codes(reinterpret_cast<int8_t*>(at + 64)),
        numbers(reinterpret_cast<DotNumbers*>(at + 64 + shape.padded())) {}

  float* scale;   // multiplies the results
  int8_t* codes;  // those beyond the inputs are 0
  DotNumbers* numbers;
};

template <class X>
float largest_of(const X* x, int64_t n, bool* is_finite) {
  vf highest{}, seen{};
  for_lanes(n, [&](int64_t i, int m) {
    const vf v = load_some(x + i, m);
    highest = max(highest, max(v, -v));
    seen += v * 0.0f;  // NaN for what is not finite
  });
  *is_finite = *is_finite && reduce_add(seen) == 0;
  return reduce_max(highest);
}

/// Codes of n elements, and of none up to `padded`.
template <class X>
void put_codes(const X* x, int64_t n, float inverse, int8_t* codes, int64_t padded) {
  for_lanes(n, [&](int64_t i, int m) {
    const vf scaled = load_some(x + i, m) * inverse;
    // Between the product and the sum in to_codes, which the compiler would else round as one.
    const vf within = min(max(scaled, splat(-127.0f)), splat(127.0f));
    const vb bytes = __builtin_convertvector(__builtin_convertvector(to_codes(within, int8_t{}), vs), vb);
    std::memcpy(codes + i, &bytes, static_cast<size_t>(m));
  });
  std::memset(codes + n, 0, static_cast<size_t>(padded - n));
}

/// The least e <= 0 with `part` <= `whole` 2^e.
inline int exponent_of(float part, float whole) {
  if (part <= whole * 0x1p-24f) return kLeastExponent;
  int exponent;
  const float fraction = std::frexp(part / whole, &exponent);
  return std::min(fraction == 0.5f ? exponent - 1 : exponent, 0);
}

template <class X>
void quantise_int8(const X* x, const Int8Shape& shape, const Int8Row& row) {
  const int64_t block = shape.block(), per_block = block / shape.dot;
  bool is_finite = true;
  const float most = largest_of(x, shape.inputs, &is_finite);
  const bool is_zero = !is_finite || most < kLeastRow;
  *row.scale = !is_finite        ? std::numeric_limits<float>::quiet_NaN()
               : is_zero         ? 0.0f
               : shape.is_wide() ? 1.0f
                                 : most / 127.0f;
  const float inverse = 127.0f / most;
  for (int64_t k = 0, dot = 0; k < shape.padded(); k += block) {
    const int64_t count = std::clamp<int64_t>(shape.inputs - k, 0, block);
    float factor = 0, steps = 0;  // 0: codes are
    if (!is_zero && count > 0) {
      const float part = largest_of(x + k, count, &is_finite);
      const int exponent = shape.is_wide() ? 0 : exponent_of(part, most);
      factor = shape.is_wide() ? part / 127.0f : std::ldexp(1.0f, exponent);
      steps = !shape.is_wide() ? std::ldexp(inverse, -exponent) : part < kLeastRow ? 0.0f : 127.0f / part;
    }
    if (steps == 0) {
      std::memset(row.codes + k, 0, static_cast<size_t>(block));
    } else {
      put_codes(x + k, count, steps, row.codes + k, block);
    }
    for (int64_t i = 0; i < per_block; i++, dot++) {
      int32_t sum = 0;
      for (int64_t j = 0; j < shape.dot; j++) sum += row.codes[dot * shape.dot + j];
      row.numbers[dot] = {factor, static_cast<float>(sum) * factor, sum, -kByteBias * sum};
    }
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
