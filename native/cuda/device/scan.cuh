// Prefix sums over the threads of a block.
#pragma once
#include "cuda/device/block.cuh"

namespace warploop::cuda {

/// Sum of the values of the threads before this one; `total` becomes the sum of all. Every thread of the
/// block calls it; blockDim.x is a multiple of 32. `scratch` may be used again at once.
template <class T>
WARPLOOP_DEVICE T sum_threads_before(T value, BlockScratch<T>& scratch, T& total) {
  const int warps = static_cast<int>(blockDim.x) / kWarpSize, lane = lane_index();
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const T in_warp = sum_lanes_before(value);
  if (lane == kWarpSize - 1) scratch.lanes[warp] = in_warp + value;
  sync_block();
  const T of_warp = lane < warps ? scratch.lanes[lane] : T(0);
  const T warps_before = sum_lanes_before(of_warp);
  sync_block();
  total = shuffle(warps_before + of_warp, kWarpSize - 1);
  return shuffle(warps_before, warp) + in_warp;
}

}  // namespace warploop::cuda
