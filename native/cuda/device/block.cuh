// What the threads of a block do together.
#pragma once
#include "cuda/device/warp.cuh"

#ifdef WARPLOOP_SIMT
#include "simt/device/block.h"
#else

namespace warploop::cuda {

/// All threads of the block wait for each other; orders their shared and global accesses.
WARPLOOP_DEVICE void sync_block() { __syncthreads(); }

/// Named barriers 1 to 15 (0 is sync_block), for `threads` threads of the block, a multiple of 32. The id is
/// a template constant: with one in a register ptxas reserves all sixteen. PTX ISA 9.7.13.1 (bar).
template <int kId>
WARPLOOP_DEVICE void barrier_sync(int threads) {
  static_assert(kId > 0 && kId < 16);
  asm volatile("bar.sync %0, %1;" ::"n"(kId), "r"(threads) : "memory");
}
/// Counts as arrived without waiting.
template <int kId>
WARPLOOP_DEVICE void barrier_arrive(int threads) {
  static_assert(kId > 0 && kId < 16);
  asm volatile("bar.arrive %0, %1;" ::"n"(kId), "r"(threads) : "memory");
}

}  // namespace warploop::cuda
#endif

namespace warploop::cuda {

/// Scratch of the block reductions, a member of the kernel's shared plan.
template <class T>
struct BlockScratch {
  T lanes[kWarpSize];
};

/// op over the values of all threads, in every thread. Every thread of the block calls it; blockDim.x is a
/// multiple of 32. `scratch` may be used again at once. The order of the operands depends on blockDim.x only.
template <class T, class Op>
WARPLOOP_DEVICE T reduce_block(T value, T neutral, BlockScratch<T>& scratch, Op op) {
  const int warps = static_cast<int>(blockDim.x) / kWarpSize, lane = lane_index();
  value = reduce_lanes(value, op);
  if (warps == 1) return value;
  if (lane == 0) scratch.lanes[threadIdx.x / kWarpSize] = value;
  sync_block();
  value = reduce_lanes(lane < warps ? scratch.lanes[lane] : neutral, op);
  sync_block();
  return value;
}
template <class T>
WARPLOOP_DEVICE T sum_block(T value, BlockScratch<T>& scratch) {
  return reduce_block(value, T(0), scratch, [](T a, T b) { return a + b; });
}
WARPLOOP_DEVICE float max_block(float value, BlockScratch<float>& scratch) {
  return reduce_block(value, -INFINITY, scratch, [](float a, float b) { return a > b ? a : b; });
}

}  // namespace warploop::cuda
