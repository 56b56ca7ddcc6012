// Blocks that run at the same time on neighbouring multiprocessors and reach each other's shared memory
// (sm_90). PTX ISA: barrier.cluster, mapa.
#pragma once
#include "cuda/device/mbarrier.cuh"

#ifdef WARPLOOP_SIMT
#include "simt/device/cluster.h"
#else

namespace warploop::cuda {

/// Index of this block in its cluster.
WARPLOOP_DEVICE uint32_t cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
/// Blocks of the cluster; 1 without one.
WARPLOOP_DEVICE uint32_t cluster_size() {
  uint32_t size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}

/// Every thread of the cluster arrives, then waits, whole warps together. What happened before an arrive is
/// visible after the wait. A block must not end before its peers have done with its shared memory.
WARPLOOP_DEVICE void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
WARPLOOP_DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
WARPLOOP_DEVICE void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

/// The object at the same place of the plan of block `rank` of the cluster, for plain loads and stores.
template <class T>
WARPLOOP_DEVICE T* cluster_shared(T* own, uint32_t rank) {
  uint64_t peer;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(peer) : "l"(own), "r"(rank));
  return reinterpret_cast<T*>(peer);
}

}  // namespace warploop::cuda
#endif
