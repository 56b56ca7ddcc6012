// cuda/device/cluster.cuh on simt.
#pragma once
#include "simt/cluster.h"

namespace warploop::cuda {

inline uint32_t cluster_rank() { return static_cast<uint32_t>(simt::self_block().rank); }
inline uint32_t cluster_size() { return static_cast<uint32_t>(simt::self_block().cluster->blocks.size()); }
inline void cluster_arrive(Site site = Site::current()) { simt::arrive_at_cluster_barrier(site); }
inline void cluster_wait(Site site = Site::current()) { simt::wait_at_cluster_barrier(site); }
inline void cluster_sync(Site site = Site::current()) {
  simt::arrive_at_cluster_barrier(site);
  simt::wait_at_cluster_barrier(site);
}
template <class T>
T* cluster_shared(T* own, uint32_t rank, Site site = Site::current()) {
  return reinterpret_cast<T*>(simt::peer_pointer(own, rank, "cluster_shared", site));
}

}  // namespace warploop::cuda
