// cuda/device/dtype.cuh on simt.
#pragma once
#include <cfloat>
#include <cstring>

#include "simt/diagnostics.h"
#include "simt/predecessors.h"

namespace warploop::cuda {

template <class T>
uint32_t pack_pair(float low, float high) {
  const T pair[2] = {from_float<T>(low), from_float<T>(high)};
  return std::bit_cast<uint32_t>(pair);
}

template <class T>
float low_of(uint32_t pair);
template <class T>
float high_of(uint32_t pair);

/// To odd: a further rounding, to fewer bits, is then as if there had been no other.
inline float rounded_to_odd(double x) {
  const float nearest = static_cast<float>(x);
  if (double{nearest} == x) return nearest;
  const auto bits = std::bit_cast<uint32_t>(nearest);
  return std::bit_cast<float>((std::fabs(double{nearest}) > std::fabs(x) ? bits - 1 : bits) | 1u);
}

template <class T>
uint32_t fma_pair(uint32_t a, uint32_t b, uint32_t c) {
  const auto half = [](auto of, uint32_t x, uint32_t y, uint32_t z) {
    return rounded_to_odd(double{of(x)} * double{of(y)} + double{of(z)});
  };
  return pack_pair<T>(half(low_of<T>, a, b, c), half(high_of<T>, a, b, c));
}

inline float exp2_fast(float x) {
  const float y = std::exp2(x);
  return y < FLT_MIN ? 0.0f : y;  // .ftz
}

inline float reciprocal_fast(float x) {
  const float y = 1 / x;
  return std::fabs(y) < FLT_MIN ? 0.0f : y;  // .ftz
}

inline uint4 load_16(const void* p, Site site = Site::current()) {
  if (reinterpret_cast<uintptr_t>(p) % 16 != 0) simt::fail("load_16", site, p, " is not aligned to 16");
  simt::accesses_memory("load_16", p, site);
  return *static_cast<const uint4*>(p);
}
inline uint4 load_16_once(const void* p, Site site = Site::current()) { return load_16(p, site); }
inline void store_16(void* p, uint4 v, Site site = Site::current()) {
  if (reinterpret_cast<uintptr_t>(p) % 16 != 0) simt::fail("store_16", site, p, " is not aligned to 16");
  simt::accesses_memory("store_16", p, site);
  *static_cast<uint4*>(p) = v;
}
inline uint2 load_8(const void* p, Site site = Site::current()) {
  if (reinterpret_cast<uintptr_t>(p) % 8 != 0) simt::fail("load_8", site, p, " is not aligned to 8");
  simt::accesses_memory("load_8", p, site);
  return *static_cast<const uint2*>(p);
}
inline void store_8(void* p, uint2 v, Site site = Site::current()) {
  if (reinterpret_cast<uintptr_t>(p) % 8 != 0) simt::fail("store_8", site, p, " is not aligned to 8");
  simt::accesses_memory("store_8", p, site);
  *static_cast<uint2*>(p) = v;
}
inline void prefetch_l2(const void*) {}

}  // namespace warploop::cuda
