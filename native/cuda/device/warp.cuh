// What the 32 lanes of a warp do together. Every lane of `lanes` must call the function from the same place.
#pragma once
#include "cuda/device/platform.cuh"

namespace warploop::cuda {

inline constexpr int kWarpSize = 32;
inline constexpr uint32_t kAllLanes = 0xffffffffu;

}  // namespace warploop::cuda

#ifdef WARPLOOP_SIMT
#include "simt/device/warp.h"
#else

namespace warploop::cuda {

/// Index of the calling lane in a block whose threads are counted along x.
WARPLOOP_DEVICE int lane_index() { return static_cast<int>(threadIdx.x % kWarpSize); }
/// Index of the warp in its block, known to the compiler to be the same for all lanes.
WARPLOOP_DEVICE int warp_index() {
  return __shfl_sync(kAllLanes, static_cast<int>(threadIdx.x / kWarpSize), 0);
}

/// The value of lane `lane` (mod 32). T: 4 or 8 bytes.
template <class T>
WARPLOOP_DEVICE T shuffle(T value, int lane, uint32_t lanes = kAllLanes) {
  return __shfl_sync(lanes, value, lane);
}
/// The value of lane (own ^ mask).
template <class T>
WARPLOOP_DEVICE T shuffle_xor(T value, int mask, uint32_t lanes = kAllLanes) {
  return __shfl_xor_sync(lanes, value, mask);
}
/// The value of lane (own - delta), the own one in the first `delta` lanes.
template <class T>
WARPLOOP_DEVICE T shuffle_up(T value, int delta, uint32_t lanes = kAllLanes) {
  return __shfl_up_sync(lanes, value, delta);
}
/// The value of lane (own + delta), the own one in the last `delta` lanes.
template <class T>
WARPLOOP_DEVICE T shuffle_down(T value, int delta, uint32_t lanes = kAllLanes) {
  return __shfl_down_sync(lanes, value, delta);
}
/// One bit per lane for which `predicate` holds.
WARPLOOP_DEVICE uint32_t ballot(bool predicate, uint32_t lanes = kAllLanes) {
  return __ballot_sync(lanes, predicate);
}
WARPLOOP_DEVICE bool any_lane(bool predicate, uint32_t lanes = kAllLanes) {
  return __any_sync(lanes, predicate);
}
WARPLOOP_DEVICE bool all_lanes(bool predicate, uint32_t lanes = kAllLanes) {
  return __all_sync(lanes, predicate);
}
/// The lanes that hold the same `value`, as bits.
WARPLOOP_DEVICE uint32_t match_lanes(int value, uint32_t lanes = kAllLanes) {
  return __match_any_sync(lanes, value);
}
/// Orders the shared and global accesses of the lanes before against those after.
WARPLOOP_DEVICE void sync_warp(uint32_t lanes = kAllLanes) { __syncwarp(lanes); }

}  // namespace warploop::cuda
#endif

namespace warploop::cuda {

/// op over all lanes, in every lane, by a butterfly: the order of the operands is the same in every lane, so
/// all get the same bits. T: 4 or 8 bytes; op: associative and commutative. `kWidth`: a power of two, lanes
/// that belong together.
template <int kWidth = kWarpSize, class T, class Op>
WARPLOOP_DEVICE T reduce_lanes(T value, Op op) {
#pragma unroll
  for (int mask = kWidth / 2; mask > 0; mask /= 2) value = op(value, shuffle_xor(value, mask));
  return value;
}
template <int kWidth = kWarpSize, class T>
WARPLOOP_DEVICE T sum_lanes(T value) {
  return reduce_lanes<kWidth>(value, [](T a, T b) { return a + b; });
}
template <int kWidth = kWarpSize, class T>
WARPLOOP_DEVICE T max_lanes(T value) {
  return reduce_lanes<kWidth>(value, [](T a, T b) { return a > b ? a : b; });
}

/// Sum of the values of the lanes before this one, of kWarpSize lanes.
template <class T>
WARPLOOP_DEVICE T sum_lanes_before(T value) {
  T sum = value;
#pragma unroll
  for (int delta = 1; delta < kWarpSize; delta *= 2) {
    const T other = shuffle_up(sum, delta);
    if (lane_index() >= delta) sum += other;
  }
  return sum - value;
}

}  // namespace warploop::cuda
