// Dot products of bytes: four inputs of kLanes weights with four of one row of x, added to 32-bit sums. Exact
// on every instruction set.
#pragma once
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

// AVX-512's instruction takes weights without a sign: they have 128 added, and whoever sums begins with
// -128 times the sum of x.
#if defined(__AVX512VNNI__)
inline constexpr int32_t kByteBias = 128;
#else
inline constexpr int32_t kByteBias = 0;
#endif

// AVX2's instruction, too, takes one side without a sign: nibbles meet x as they are, and their zero points
// are taken off the sums. Some products fit 16 bits together before they have to be widened.
#if defined(__AVX2__) && !defined(__AVX512VNNI__)
inline constexpr bool kHasRawNibbles = true;

/// pairs[lane][half] + the products of two bytes. Weights from 0 to w in n calls: 2 n w 127 < 2^15.
WARPLOOP_INLINE vi add_pairs(vi pairs, vi weights, vi x) {
  const __m256i products =
      _mm256_maddubs_epi16(reinterpret_cast<__m256i>(weights), reinterpret_cast<__m256i>(x));
  return reinterpret_cast<vi>(_mm256_add_epi16(reinterpret_cast<__m256i>(pairs), products));
}
/// sums[lane] + pairs[lane][0] + pairs[lane][1].
WARPLOOP_INLINE vi add_widened(vi sums, vi pairs) {
  const __m256i ones = _mm256_set1_epi16(1);
  return sums + reinterpret_cast<vi>(_mm256_madd_epi16(reinterpret_cast<__m256i>(pairs), ones));
}
#else
inline constexpr bool kHasRawNibbles = false;
#endif

/// Four bytes of x, the same for all lanes.
WARPLOOP_INLINE vi splat_four(const int8_t* x) {
  int32_t four;
  std::memcpy(&four, x, 4);
  return splat(four);
}

/// sums[lane] + sum over b < 4 of weights[4 lane + b] x[b]. Weights are at least -128, x at least -127.
WARPLOOP_INLINE vi add_dot(vi sums, vi weights, vi x) {
#if defined(__AVX512VNNI__)
  // Of the intrinsic GCC 12 spills all sums of a tile: 208 GMAC/s instead of 460 (Zen 5).
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(weights), "v"(x));
  return sums;
#elif defined(__AVX2__)
  // |w| and x with the sign of w: pairs are at most 2 128 127, which 16 bits hold.
  const __m256i w = reinterpret_cast<__m256i>(weights);
  const __m256i pairs =
      _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(reinterpret_cast<__m256i>(x), w));
  return sums + reinterpret_cast<vi>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#elif defined(__aarch64__)
  const int8x16_t w = reinterpret_cast<int8x16_t>(weights), a = reinterpret_cast<int8x16_t>(x);
#if defined(__ARM_FEATURE_DOTPROD)
  return reinterpret_cast<vi>(vdotq_s32(reinterpret_cast<int32x4_t>(sums), w, a));
#else
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(a)));
  const int32x4_t high = vpaddlq_s16(vmull_high_s8(w, a));
  return sums + reinterpret_cast<vi>(vpaddq_s32(low, high));
#endif
#endif
}

}  // namespace warploop::cpu::WARPLOOP_ISA
