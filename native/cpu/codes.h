// Keys and values as codes (core/kv_codes.h): to and from vectors of floats.
#pragma once
#include "core/kv_codes.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

template <class T>
inline constexpr bool kIsCode = std::is_same_v<T, int8_t> || std::is_same_v<T, fp8e4m3_t>;
template <class T>
inline constexpr float kMostCode = most_code(std::is_same_v<T, int8_t> ? DType::i8 : DType::fp8e4m3);

typedef int8_t vb __attribute__((vector_size(kLanes)));
typedef uint8_t vub __attribute__((vector_size(kLanes)));
// Codes and integers of 32 bits: by way of 16, as GCC 12 converts by a factor of four one element at a time.
typedef int16_t vs __attribute__((vector_size(2 * kLanes)));
typedef uint16_t vus __attribute__((vector_size(2 * kLanes)));

// --- loads of kLanes codes ---

WARPLOOP_INLINE vf load(const int8_t* p) {
#if defined(__AVX512F__)
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif defined(__AVX2__)
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  const vs wide = __builtin_convertvector(load_as<vb>(p), vs);
  return __builtin_convertvector(__builtin_convertvector(wide, vi), vf);
#endif
}

/// Exponent and fraction of e4m3 are those of a wider float whose exponent counts from elsewhere; a
/// multiplication puts that right, for subnormal ones, too.
WARPLOOP_INLINE vf load(const fp8e4m3_t* p) {
#if defined(__AVX512F__)
  const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i half =
      _mm256_and_si256(_mm256_slli_epi16(wide, 7), _mm256_set1_epi16(static_cast<short>(0xbfff)));
  return reinterpret_cast<vf>(_mm512_cvtph_ps(half)) * 256.0f;
#elif defined(__AVX2__)
  const __m128i wide = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  const __m128i half = _mm_and_si128(_mm_slli_epi16(wide, 7), _mm_set1_epi16(static_cast<short>(0xbfff)));
  return reinterpret_cast<vf>(_mm256_cvtph_ps(half)) * 256.0f;
#else
  const vu codes = __builtin_convertvector(__builtin_convertvector(load_as<vub>(p), vus), vu);
  const vu bits = (codes & 0x7fu) << 20 | (codes & 0x80u) << 24;
  return load_as<vf>(&bits) * 0x1p120f;
#endif
}

// --- values in the range of codes, rounded to nearest even ---

WARPLOOP_INLINE vi to_codes(vf x, int8_t) {
  const vf shifted = x + 12582912.0f;  // 1.5 * 2^23: the sum is rounded to an integer
  return load_as<vi>(&shifted) - 0x4b400000;
}
WARPLOOP_INLINE vi to_codes(vf x, fp8e4m3_t) {
  const vu bits = load_as<vu>(&x), sign = bits >> 24 & 0x80u, magnitude = bits & 0x7fffffffu;
  const vu normal = ((magnitude + 0x7ffffu + (magnitude >> 20 & 1u)) >> 20) - (120u << 3);
  const vf shifted = load_as<vf>(&magnitude) + 16384.0f;  // the sum is rounded to a multiple of 2^-9
  const vu subnormal = load_as<vu>(&shifted) - 0x46800000u;
  const vu code = (magnitude < 0x3c800000u ? subnormal : normal) | sign;  // 2^-6
  return load_as<vi>(&code);
}

/// The codes of a head, and what they have to be multiplied with.
template <class X, class C>
void quantise_row(const X* from, C* to, float* scale, int64_t width) {
  static_assert(sizeof(C) == 1);
  vf highest{}, seen{};
  for_lanes(width, [&](int64_t i, int n) {
    const vf x = load_some(from + i, n), magnitude = max(x, -x);
    highest = max(highest, magnitude);
    seen += x * 0.0f;  // NaN for what is not finite
  });
  const float most = reduce_max(highest);
  const bool is_finite = reduce_add(seen) == 0;
  if (!is_finite || most < kLeastHead) {
    std::memset(to, 0, static_cast<size_t>(width));
    *scale = is_finite ? 0.0f : std::numeric_limits<float>::quiet_NaN();
    return;
  }
  const float inverse = kMostCode<C> / most;
  *scale = most / kMostCode<C>;
  for_lanes(width, [&](int64_t i, int n) {
    const vf scaled = load_some(from + i, n) * inverse;
    // Between the product and the sum in to_codes, which the compiler would else round as one.
    const vf within = min(max(scaled, splat(-kMostCode<C>)), splat(kMostCode<C>));
    const vb codes = __builtin_convertvector(__builtin_convertvector(to_codes(within, C{}), vs), vb);
    std::memcpy(to + i, &codes, static_cast<size_t>(n));
  });
}

/// Calls fn(T{}) with the C++ type of what pages hold.
template <class Fn>
void dispatch_pages(DType dtype, const Fn& fn) {
  if (dtype == DType::i8) return fn(int8_t{});
  if (dtype == DType::fp8e4m3) return fn(fp8e4m3_t{});
  dispatch_float(dtype, fn);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
