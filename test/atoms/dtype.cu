// device/dtype.cuh.
#include "cuda/device/dtype.cuh"

#include <cmath>
#include <cstring>

#include "atom.h"

namespace warploop::atoms {
namespace {

using namespace cuda;

constexpr int kThreads = 256;
constexpr size_t kAll16 = 1 << 16;

template <class T>
const char* type_name() {
  return std::is_same_v<T, bf16> ? "bf16" : "f16";
}

/// What the 16 bits mean: IEEE 754 binary16, or the upper half of binary32.
template <class T>
double meaning(uint16_t bits) {
  constexpr bool f16 = !std::is_same_v<T, bf16>;
  constexpr int kFraction = f16 ? 10 : 7, kBias = f16 ? 15 : 127, kTop = f16 ? 31 : 255;
  const int exponent = bits >> kFraction & kTop, fraction = bits & ((1 << kFraction) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == kTop) return fraction ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - kBias - kFraction);
  return sign * std::ldexp((1 << kFraction) + fraction, exponent - kBias - kFraction);
}

/// To the nearest, ties to even; too large: infinity.
template <class T>
double nearest(double x) {
  constexpr bool f16 = !std::is_same_v<T, bf16>;
  constexpr int kFraction = f16 ? 10 : 7, kLeast = f16 ? -14 : -126;
  if (std::isnan(x) || std::isinf(x) || x == 0) return x;
  const int exponent = std::max(std::ilogb(x), kLeast);
  const double unit = std::ldexp(1, exponent - kFraction);
  const double rounded = std::nearbyint(x / unit) * unit;
  const double limit = f16 ? 65504 : std::ldexp(255, 120);
  return std::fabs(rounded) > limit ? std::copysign(INFINITY, rounded) : rounded;
}

/// Floats around everything where rounding decides: every 16-bit value and its neighbourhood.
std::vector<float> rounding_inputs() {
  return table(kAll16, [](size_t i) {
    const uint32_t kinds[4] = {0x8000, 0x7fff, 0x8001, pick(static_cast<uint32_t>(i), 0x10000)};
    const uint32_t bits = static_cast<uint32_t>(i) << 16 | kinds[i % 4];
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
  });
}

// ------------------------------------------------------------------------------------------ conversion

template <class T>
__global__ void widen(const T* in, float* out) {
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  out[i] = to_float(in[i]);
}
/// The rounded values are widened again: both are exact, and NaN stays comparable.
template <class T>
__global__ void narrow(const float* in, float* one, float* low, float* high) {
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  one[i] = to_float(from_float<T>(in[i]));
  const uint32_t pair = pack_pair<T>(in[i], in[i ^ 1]);
  low[i] = low_of<T>(pair);
  high[i] = high_of<T>(pair);
}
template <class T>
void check_conversions(Run& run) {
  const LaunchShape shape{dim3(kAll16 / kThreads), kThreads};
  const std::string type = type_name<T>();
  const auto bits = table(kAll16, [](size_t i) { return static_cast<uint16_t>(i); });
  float* widened = run.output<float>(kAll16);
  launch<widen<T>>(run.context(), shape, reinterpret_cast<const T*>(run.upload(bits)), widened);
  run.expect("to_float_" + type, widened,
             table(kAll16, [&](size_t i) { return static_cast<float>(meaning<T>(bits[i])); }));

  const auto in = rounding_inputs();
  float *one = run.output<float>(kAll16), *low = run.output<float>(kAll16), *high = run.output<float>(kAll16);
  launch<narrow<T>>(run.context(), shape, static_cast<const float*>(run.upload(in)), one, low, high);
  const auto want = table(kAll16, [&](size_t i) { return static_cast<float>(nearest<T>(in[i])); });
  run.expect("from_float_" + type, one, want);
  run.expect("pack_pair_low_" + type, low, want);
  run.expect("pack_pair_high_" + type, high, table(kAll16, [&](size_t i) { return want[i ^ 1]; }));
}
const Atom bf16_atom("to_float_bf16", 80, check_conversions<bf16>);
const Atom f16_atom("to_float_f16", 80, check_conversions<f16>);

// ------------------------------------------------------------------------------------------ pairs

template <class T>
__global__ void fma_pairs(const float* in, float* low, float* high) {
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  const uint32_t a = pack_pair<T>(in[i], -in[i]), b = pack_pair<T>(0.5f, 3), c = pack_pair<T>(1, in[i ^ 1]);
  const uint32_t d = fma_pair<T>(a, b, c);
  low[i] = low_of<T>(d);
  high[i] = high_of<T>(d);
}
/// Sums of small integers, of subnormal numbers and of numbers that have to be rounded.
template <class T>
void check_pairs(Run& run) {
  constexpr size_t kCount = 4 * kThreads;
  const auto in = table(kCount, [](size_t i) {
    const float integer = static_cast<float>(static_cast<int>(i) - 512);
    return i % 4 == 3 ? std::ldexp(integer, -23) : integer;
  });
  float *low = run.output<float>(kCount), *high = run.output<float>(kCount);
  launch<fma_pairs<T>>(run.context(), {dim3(4), kThreads}, static_cast<const float*>(run.upload(in)), low,
                       high);
  const auto held = [&](size_t i) { return nearest<T>(in[i]); };
  const std::string type = type_name<T>();
  run.expect("fma_pair_low_" + type, low,
             table(kCount, [&](size_t i) { return static_cast<float>(nearest<T>(held(i) * 0.5 + 1)); }));
  run.expect("fma_pair_high_" + type, high, table(kCount, [&](size_t i) {
               return static_cast<float>(nearest<T>(held(i ^ 1) - 3 * held(i)));
             }));
}
const Atom bf16_pairs("fma_pair_bf16", 80, check_pairs<bf16>);
const Atom f16_pairs("fma_pair_f16", 80, check_pairs<f16>);

// ------------------------------------------------------------------------------------------ exponential

__global__ void exp2_all(const float* in, float* out) {
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  out[i] = exp2_fast(in[i]);
}
const Atom exp2_atom("exp2_fast", 80, [](Run& run) {
  constexpr size_t kCount = 4 * kThreads;
  auto in = table(kCount, [](size_t i) {
    return static_cast<float>(static_cast<int>(i) - 1000) / 8 +
           static_cast<float>(pick(static_cast<uint32_t>(i), 1000)) * 1e-4f;
  });
  in[0] = -INFINITY;
  in[1] = 0;
  in[2] = -1e30f;
  in[3] = -160;
  float* out = run.output<float>(kCount);
  launch<exp2_all>(run.context(), {dim3(4), kThreads}, static_cast<const float*>(run.upload(in)), out);
  run.expect("exp2_fast", out,
             table(kCount, [&](size_t i) { return static_cast<float>(std::exp2(double{in[i]})); }), 3e-7);
});

__global__ void reciprocals(const float* in, float* out) {
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  out[i] = reciprocal_fast(in[i]);
}
const Atom reciprocal_atom("reciprocal_fast", 80, [](Run& run) {
  constexpr size_t kCount = kThreads;
  auto in = table(kCount, [](size_t i) {
    const float mantissa = 1 + static_cast<float>(pick(static_cast<uint32_t>(i), 1000)) * 1e-3f;
    return std::ldexp(i % 2 ? mantissa : -mantissa, static_cast<int>(i) - 64);
  });
  in[0] = INFINITY;
  in[1] = 0;
  in[2] = std::ldexp(1.0f, 127);  // its reciprocal is flushed
  float* out = run.output<float>(kCount);
  launch<reciprocals>(run.context(), {dim3(1), kThreads}, static_cast<const float*>(run.upload(in)), out);
  auto want = table(kCount, [&](size_t i) { return 1 / in[i]; });
  want[2] = 0;
  run.expect("reciprocal_fast", out, want, 3e-7);
});

// ------------------------------------------------------------------------------------------ 16 bytes

__global__ void copy_16(const uint4* in, uint4* out) {
  out[2 * threadIdx.x] = load_16(in + threadIdx.x);
  store_16(out + 2 * threadIdx.x + 1, load_16_once(in + (threadIdx.x ^ 1)));
}
const Atom copy_16_atom("load_16", 80, [](Run& run) {
  const auto in = table(4 * 32, [](size_t i) { return pick(static_cast<uint32_t>(i), 1u << 31); });
  uint32_t* out = run.output<uint32_t>(8 * 32);
  launch<copy_16>(run.context(), {dim3(1), 32}, reinterpret_cast<const uint4*>(run.upload(in)),
                  reinterpret_cast<uint4*>(out));
  run.expect("load_16", out, table(8 * 32, [&](size_t i) {
               const size_t thread = i / 8, from = i / 4 % 2 ? thread ^ 1 : thread;
               return in[4 * from + i % 4];
             }));
});

}  // namespace
}  // namespace warploop::atoms
