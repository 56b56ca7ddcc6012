// The roles of the warpgroups of an sm_90 block: the first one copies (the producer), the others multiply
// (consumers). And what the blocks of a cluster do when they come and go.
#pragma once
#include "cuda/device/block.cuh"
#include "cuda/device/cluster.cuh"
#include "cuda/device/registers.cuh"
#include "cuda/device/warp.cuh"

namespace warploop::cuda {

inline constexpr int kWarpgroup = 128;  // threads that issue one wgmma

/// Registers of a thread in each role. A kernel starts with the same for all (cuda/device/registers.cuh);
/// zeros: it stays so.
struct RoleRegisters {
  int producer = 0, consumer = 0;
};

/// Runs `produce` in the four warps of warpgroup 0 and `consume` in all others, after the registers have gone
/// from one to the others. One branch per role, as setmaxnreg asks for. All threads of the block.
template <RoleRegisters kRegisters, class Produce, class Consume>
WARPLOOP_DEVICE void run_roles(const Produce& produce, const Consume& consume) {
  constexpr bool kMoved = kRegisters.producer != 0;
  if (warp_index() < kWarpgroup / kWarpSize) {
    if constexpr (kMoved) set_registers_down<kRegisters.producer>();
    produce();
  } else {
    if constexpr (kMoved) set_registers_up<kRegisters.consumer>();
    consume();
  }
}

/// Index of this block in its cluster, known to the compiler where there is none.
template <int kCluster>
WARPLOOP_DEVICE int rank_in_cluster() {
  return kCluster > 1 ? static_cast<int>(cluster_rank()) : 0;
}

/// A barrier of the cluster, or of the block that is alone. At the start it puts the ring's initialisation
/// before its use.
template <int kCluster>
WARPLOOP_DEVICE void sync_blocks() {
  if constexpr (kCluster > 1) {
    cluster_sync();
  } else {
    sync_block();
  }
}
/// The last thing in a kernel: a block must not end while its peers write into its shared memory and
/// barriers, or read them.
template <int kCluster>
WARPLOOP_DEVICE void wait_for_peers() {
  if constexpr (kCluster > 1) cluster_sync();
}

}  // namespace warploop::cuda
