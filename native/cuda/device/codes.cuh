// Keys and values as codes (core/kv_codes.h) on the device: one element, and a head that a warp stores.
#pragma once
#include "core/kv_codes.h"
#include "cuda/device/vectors.cuh"
#include "cuda/device/warp.cuh"

namespace warploop::cuda {

/// The value of a code, which is the lowest byte of `code`, without its scale. Exact in bf16, too.
WARPLOOP_DEVICE float code_value(DType codes, uint32_t code) {
  if (codes == DType::i8) {  // 2^23 + 128 + code, without a conversion, of which there are few a cycle
    return __uint_as_float(0x4b000000u | ((code & 0xffu) ^ 0x80u)) - 8388736.0f;
  }
  // Exponent and fraction are those of a wider float whose exponent counts from elsewhere.
  return __uint_as_float((code & 0x80u) << 24 | (code & 0x7fu) << 20) * 0x1p120f;
}

/// The code of a value that has been divided by the scale.
WARPLOOP_DEVICE uint32_t code_of(DType codes, float value) {
  // The limits stand between the product before and the sum behind, which the compiler would else round as
  // one.
  const float most = most_code(codes), x = fminf(fmaxf(value, -most), most);
  if (codes == DType::i8) return __float_as_uint(x + 12582912.0f) & 0xffu;  // 1.5 * 2^23: an integer is left
  const uint32_t bits = __float_as_uint(x), magnitude = bits & 0x7fffffffu, sign = bits >> 24 & 0x80u;
  if (magnitude >= 0x3c800000u)  // 2^-6
    return sign | (((magnitude + 0x7ffffu + (magnitude >> 20 & 1u)) >> 20) - (120u << 3));
  return sign | (__float_as_uint(__uint_as_float(magnitude) + 16384.0f) - 0x46800000u);  // multiples of 2^-9
}

/// What makes codes of a head, and values of the codes. All lanes of a warp have the same.
struct HeadScale {
  float inverse;  // 0: all codes are 0
  float scale;
};
/// @param most of a lane: the largest magnitude among its elements
WARPLOOP_DEVICE HeadScale find_scale(DType codes, float most) {
  const float highest = max_lanes(most);
  if (highest == INFINITY) return {0, NAN};
  if (highest < kLeastHead) return {0, 0};
  return {most_code(codes) / highest, highest / most_code(codes)};
}
/// The largest magnitude, one more element counted. NaN, which a maximum would lose, counts as infinity.
WARPLOOP_DEVICE float larger_magnitude(float most, float x) {
  return fmaxf(most, x == x ? fabsf(x) : INFINITY);
}
template <int kVector>
WARPLOOP_DEVICE float larger_magnitude(float most, const float (&x)[kVector]) {
#pragma unroll
  for (int j = 0; j < kVector; j++) most = larger_magnitude(most, x[j]);
  return most;
}

/// Stores kVector elements of a head as codes. The rows of codes need no alignment.
template <int kVector>
WARPLOOP_DEVICE void store_codes(const Rows& pages, int64_t offset, const HeadScale& head,
                                 const float (&x)[kVector]) {
  auto* to = reinterpret_cast<uint8_t*>(pages.data) + offset;
#pragma unroll
  for (int j = 0; j < kVector; j++)
    to[j] = head.inverse == 0 ? uint8_t{0} : static_cast<uint8_t>(code_of(pages.dtype, x[j] * head.inverse));
}

/// Stores a head of `vectors` vectors of kVector elements, and its scale. A whole warp. The head is read
/// twice.
template <int kVector>
WARPLOOP_DEVICE void store_head_as_codes(const Rows& x, int64_t from, int vectors, const Rows& pages,
                                         int64_t to, float* scale) {
  float most = 0;
  for (int vector = lane_index(); vector < vectors; vector += kWarpSize) {
    float values[kVector];
    load_floats(x, from + vector * kVector, values);
    most = larger_magnitude(most, values);
  }
  const HeadScale head = find_scale(pages.dtype, most);
  if (lane_index() == 0) *scale = head.scale;
  for (int vector = lane_index(); vector < vectors; vector += kWarpSize) {
    float values[kVector];
    load_floats(x, from + vector * kVector, values);
    store_codes(pages, to + vector * kVector, head, values);
  }
}

}  // namespace warploop::cuda
