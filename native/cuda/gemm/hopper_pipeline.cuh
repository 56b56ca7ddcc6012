// What the sm_90 matrix products share: a ring of shared-memory stages between the warps that copy
// (producers) and the warpgroups that multiply (consumers), and the product of one tile out of that ring.
//
// A stage holds kDepth values of k of every row of both operands, as rows of 128 bytes in the 128-byte
// swizzle. It goes round: producers wait for `empty`, copy, and complete `full`; consumers wait for `full`,
// multiply, and complete `empty`. Both sides count stages alike, over all tiles of a block, with a
// RingPosition each.
#pragma once
#include "cuda/device/cluster.cuh"
#include "cuda/device/mbarrier.cuh"
#include "cuda/device/roles.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/device/warp.cuh"
#include "cuda/device/wgmma.cuh"

namespace warploop::cuda {

inline constexpr int kDepth = 64;  // values of k in a stage: one swizzled row of 16-bit values
inline constexpr int kStageRowBytes = 2 * kDepth;        // 128
inline constexpr int kSharedBytesPerBlock = 227 * 1024;  // what a block of sm_90 can have
inline constexpr int kWarpgroupRows = 64;                // rows of the result that it covers

template <int kStages>
struct StageRing {
  Mbarrier full[kStages];   // all tiles of the stage have landed
  Mbarrier empty[kStages];  // every consumer warp has done with them

  /// By one thread; then a barrier of the block (of the cluster, where there is one).
  WARPLOOP_DEVICE void init(int producer_arrivals, int consumer_arrivals) {
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(full[i], producer_arrivals);
      mbarrier_init(empty[i], consumer_arrivals);
    }
    fence_mbarrier_init();
  }
};

template <int kStages>
struct RingPosition {
  int stage = 0;
  uint32_t parity = 0;  // of the round; producers wait for the round before

  WARPLOOP_DEVICE void advance() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1u;
  }
};

/// Loads the part of a box that falls to this block, one of kCluster: [part, part + rows of the map's box) of
/// it, to the same place in the stage of every block of the cluster. One thread.
template <int kCluster>
WARPLOOP_DEVICE void load_part(unsigned char* stage, const CUtensorMap* map, Mbarrier& full, int column,
                               int row, int part) {
  unsigned char* to = stage + part * kStageRowBytes;
  if constexpr (kCluster == 1) {
    tma_load<2>(to, map, full, {column, row + part});
  } else {
    constexpr uint16_t kAllBlocks = (1u << kCluster) - 1;
    tma_load_multicast<2>(to, map, full, {column, row + part}, kAllBlocks);
  }
}

/// A consumer warp gives a stage back, with kCluster > 1 to the producers of every block of the cluster: they
/// all write into this block's stage.
template <int kCluster, int kStages>
WARPLOOP_DEVICE void release_stage(StageRing<kStages>& ring, int stage) {
  const int lane = lane_index();
  if constexpr (kCluster == 1) {
    if (lane == 0) mbarrier_arrive(ring.empty[stage]);
  } else {
    if (lane < kCluster) mbarrier_release_cluster(ring.empty[stage], static_cast<uint32_t>(lane));
  }
}

/// The descriptor of the matrix `bytes` further on. Below 2^18 bytes the sum stays in the low word, so one
/// addition does.
constexpr uint64_t moved(uint64_t descriptor, uint32_t bytes) {
  return (descriptor >> 32 << 32) | static_cast<uint32_t>(descriptor + bytes / 16);
}

/// d = A B^T over `k_blocks` >= 1 stages: 64 rows of A and kN rows of B, `a` and `b` their shared addresses
/// in stage 0, kStrideA and kStrideB bytes from one stage to the next. All threads of the warpgroup.
template <class T, int kN, int kCluster, int kStrideA, int kStrideB, int kStages>
WARPLOOP_DEVICE void multiply_tile(float (&d)[kN / 2], StageRing<kStages>& ring, RingPosition<kStages>& at,
                                   uint32_t a, uint32_t b, int k_blocks) {
  constexpr uint32_t kEightRows = 8 * kStageRowBytes;
  constexpr uint32_t kStepBytes = 32;  // 16 values of k: one wgmma
  const uint64_t a_first = matrix_descriptor(a, 16, kEightRows, Swizzle::b128);
  const uint64_t b_first = matrix_descriptor(b, 16, kEightRows, Swizzle::b128);
  int previous = 0;
  register_fence(d);
  for (int k = 0; k < k_blocks; k++) {
    mbarrier_wait(ring.full[at.stage], at.parity);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < kDepth / 16; step++) {
      const auto stage = static_cast<uint32_t>(at.stage);
      wgmma<T, kN, false, false>(d, moved(a_first, stage * kStrideA + step * kStepBytes),
                                 moved(b_first, stage * kStrideB + step * kStepBytes), k > 0 || step > 0);
    }
    wgmma_commit();
    // With the products of this stage under way, those of the one before are done: its memory can be written
    // again.
    wgmma_wait<1>();
    if (k > 0) release_stage<kCluster>(ring, previous);
    previous = at.stage;
    at.advance();
  }
  wgmma_wait<0>();
  register_fence(d);
  release_stage<kCluster>(ring, previous);
}

}  // namespace warploop::cuda
