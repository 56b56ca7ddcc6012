// SIMD written once: vectors of kLanes floats on top of the compiler's vector extensions, so that one kernel
// source serves AVX-512, AVX2 and NEON. Included only by files that are compiled per instruction set;
// everything lives in that set's namespace, because the linker must never merge an inline function of a wider
// set into a narrower one.
//
// Storage types (bf16, f16) exist in memory only: loads widen to float, stores round to nearest even.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/dtype.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define WARPLOOP_INLINE inline __attribute__((always_inline))

namespace warploop::cpu::WARPLOOP_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

typedef float vf __attribute__((vector_size(kLanes * 4)));
typedef int32_t vi __attribute__((vector_size(kLanes * 4)));
typedef uint32_t vu __attribute__((vector_size(kLanes * 4)));
typedef uint16_t vh __attribute__((vector_size(kLanes * 2)));

inline constexpr float kInf = std::numeric_limits<float>::infinity();

WARPLOOP_INLINE vf splat(float v) { return v - vf{}; }
WARPLOOP_INLINE vi splat(int32_t v) { return v - vi{}; }

// --- scalars ---

WARPLOOP_INLINE float to_float(float v) { return v; }
WARPLOOP_INLINE float to_float(bf16_t v) {
  const uint32_t bits = static_cast<uint32_t>(v.bits) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}
#if defined(__x86_64__)
WARPLOOP_INLINE float to_float(f16_t v) { return _cvtsh_ss(v.bits); }
#else
WARPLOOP_INLINE float to_float(f16_t v) {
  __fp16 half;
  std::memcpy(&half, &v, 2);
  return half;
}
#endif

WARPLOOP_INLINE void put(float* p, float v) { *p = v; }
WARPLOOP_INLINE void put(bf16_t* p, float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  p->bits = static_cast<uint16_t>(nan ? (bits >> 16) | 0x40u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
#if defined(__x86_64__)
WARPLOOP_INLINE void put(f16_t* p, float v) { p->bits = _cvtss_sh(v, _MM_FROUND_TO_NEAREST_INT); }
#else
WARPLOOP_INLINE void put(f16_t* p, float v) {
  const __fp16 half = static_cast<__fp16>(v);
  std::memcpy(p, &half, 2);
}
#endif

// --- loads and stores of kLanes elements, no alignment needed ---

template <class V>
WARPLOOP_INLINE V load_as(const void* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

WARPLOOP_INLINE vf load(const float* p) { return load_as<vf>(p); }
WARPLOOP_INLINE void store(float* p, vf v) { std::memcpy(p, &v, sizeof v); }

WARPLOOP_INLINE vf load(const bf16_t* p) {
  const vu wide = __builtin_convertvector(load_as<vh>(p), vu) << 16;
  return load_as<vf>(&wide);
}

WARPLOOP_INLINE void store(bf16_t* p, vf v) {
#if defined(__AVX512BF16__)
  const __m256bh half = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(v));
  std::memcpy(p, &half, 32);
#else
  const vu bits = load_as<vu>(&v);
  const vu rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const vu quiet = (bits >> 16) | 0x40u;
  const vi nan = (bits & 0x7fffffffu) > 0x7f800000u;
  const vh half = __builtin_convertvector(nan ? quiet : rounded, vh);
  std::memcpy(p, &half, sizeof half);
#endif
}

WARPLOOP_INLINE vf load(const f16_t* p) {
#if defined(__AVX512F__)
  return reinterpret_cast<vf>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif defined(__AVX2__)
  return reinterpret_cast<vf>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  vf v;
  for (int i = 0; i < kLanes; i++) v[i] = to_float(p[i]);
  return v;
#endif
}

WARPLOOP_INLINE void store(f16_t* p, vf v) {
#if defined(__AVX512F__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(reinterpret_cast<__m512>(v), _MM_FROUND_TO_NEAREST_INT));
#elif defined(__AVX2__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm256_cvtps_ph(reinterpret_cast<__m256>(v), _MM_FROUND_TO_NEAREST_INT));
#else
  for (int i = 0; i < kLanes; i++) put(p + i, v[i]);
#endif
}

// --- the first n < kLanes elements; the other lanes of a load are `fill` ---

template <class T>
WARPLOOP_INLINE vf load_n(const T* p, int n, float fill = 0) {
  vf v = splat(fill);
  for (int i = 0; i < n; i++) v[i] = to_float(p[i]);
  return v;
}

template <class T>
WARPLOOP_INLINE void store_n(T* p, vf v, int n) {
  for (int i = 0; i < n; i++) put(p + i, v[i]);
}

// --- arithmetic ---

WARPLOOP_INLINE vf max(vf a, vf b) { return a > b ? a : b; }
WARPLOOP_INLINE vf min(vf a, vf b) { return a < b ? a : b; }

/// a * b + c, rounded once. Explicit, because the compiler may contract `x * y + z * w` in two ways.
WARPLOOP_INLINE vf fused_multiply_add(vf a, vf b, vf c) {
#if defined(__AVX512F__)
  return reinterpret_cast<vf>(
      _mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(__AVX2__)
  return reinterpret_cast<vf>(
      _mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#elif defined(__aarch64__)
  return reinterpret_cast<vf>(vfmaq_f32(reinterpret_cast<float32x4_t>(c), reinterpret_cast<float32x4_t>(a),
                                        reinterpret_cast<float32x4_t>(b)));
#else
  return a * b + c;
#endif
}

WARPLOOP_INLINE float reduce_add(vf v) {
  float s[kLanes];
  std::memcpy(s, &v, sizeof v);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) s[i] += s[i + half];
  }
  return s[0];
}

WARPLOOP_INLINE float reduce_max(vf v) {
  float s[kLanes];
  std::memcpy(s, &v, sizeof v);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) s[i] = s[i] > s[i + half] ? s[i] : s[i + half];
  }
  return s[0];
}

/// Whether any lane of a comparison's result (or of several, joined by |) holds.
WARPLOOP_INLINE bool any(vi mask) {
  int32_t s[kLanes];
  std::memcpy(s, &mask, sizeof mask);
  int32_t joined = 0;
  for (int i = 0; i < kLanes; i++) joined |= s[i];
  return joined != 0;
}

/// e^x to about 1 ulp: x = n ln2 + r, |r| <= ln2/2, degree-6 polynomial in r, exponent added as an integer.
/// Exactly 0 for -inf and below about -87.3 (no denormal results), inf above 88.7, NaN stays NaN.
WARPLOOP_INLINE vf exp(vf x) {
  const vf kLow = splat(-87.33654f), kHigh = splat(88.37626f);
  const vf clamped = min(max(x, kLow), kHigh);
  const vf kMagic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const vf shifted = clamped * 1.44269504f + kMagic;
  const vf n = shifted - kMagic;
  const vf r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const vi exponent = (load_as<vi>(&shifted) - 0x4b400000 + 127) << 23;
  vf result = p * load_as<vf>(&exponent);
  result = x < kLow ? vf{} : result;
  result = x > kHigh ? splat(kInf) : result;
  return x != x ? x : result;
}

/// 1 / (1 + e^-x)
WARPLOOP_INLINE vf sigmoid(vf x) { return 1.0f / (1.0f + exp(-x)); }

/// Calls body(index, n) over [0, count): full vectors first (n = kLanes), then one tail with n < kLanes.
template <class Body>
WARPLOOP_INLINE void for_lanes(int64_t count, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) body(i, kLanes);
  if (i < count) body(i, static_cast<int>(count - i));
}

template <class T>
WARPLOOP_INLINE vf load_some(const T* p, int n, float fill = 0) {
  return n == kLanes ? load(p) : load_n(p, n, fill);
}

template <class T>
WARPLOOP_INLINE void store_some(T* p, vf v, int n) {
  n == kLanes ? store(p, v) : store_n(p, v, n);
}

// --- from run-time dtypes to types ---

/// Calls fn(T{}) with the C++ type of a float dtype (f32, bf16, f16; check() has excluded the others).
template <class Fn>
void dispatch_float(DType dtype, const Fn& fn) {
  switch (dtype) {
    case DType::bf16:
      return fn(bf16_t{});
    case DType::f16:
      return fn(f16_t{});
    default:
      return fn(float{});
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
