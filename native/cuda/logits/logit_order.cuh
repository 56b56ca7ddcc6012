// The order of logits, as integers: what comparisons between threads and searches digit by digit work on.
#pragma once
#include <bit>
#include <limits>

#include "cuda/device/dtype.cuh"

namespace warploop::cuda {

/// Logits are looked after in blocks of this many tokens.
inline constexpr int kLogitBlock = 64;

/// NaN becomes -inf, +inf the largest finite number, -0 becomes 0.
WARPLOOP_DEVICE float comparable(float v) {
  return fminf(v == v ? v : -INFINITY, std::numeric_limits<float>::max()) + 0.0f;
}

/// Unsigned integers in the order of the floats (not NaN, not -0). No float has the key 0.
WARPLOOP_DEVICE uint32_t order_key(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
WARPLOOP_DEVICE float value_of_key(uint32_t key) {
  return std::bit_cast<float>(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

/// Integers in the order of rank: the larger value first, of equal ones the lower id. Never 0.
WARPLOOP_DEVICE uint64_t rank_key(float v, uint32_t id) {
  return static_cast<uint64_t>(order_key(v)) << 32 | static_cast<uint32_t>(~id);
}
WARPLOOP_DEVICE uint32_t id_of_rank(uint64_t key) { return ~static_cast<uint32_t>(key); }

struct LargerOf {
  template <class T>
  WARPLOOP_DEVICE T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};
struct SmallerOf {
  template <class T>
  WARPLOOP_DEVICE T operator()(T a, T b) const {
    return a < b ? a : b;
  }
};

}  // namespace warploop::cuda
