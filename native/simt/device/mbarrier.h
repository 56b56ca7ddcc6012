// cuda/device/mbarrier.cuh on simt.
#pragma once
#include "simt/mbarrier.h"
#include "simt/sm90.h"

namespace warploop::cuda {

inline void mbarrier_init(Mbarrier& barrier, int arrivals, Site site = Site::current()) {
  simt::init_mbarrier(shared_address(&barrier, site), arrivals, site);
}
inline void fence_mbarrier_init() { simt::publish_mbarriers(); }
inline void mbarrier_arrive(Mbarrier& barrier, Site site = Site::current()) {
  simt::arrive_at_mbarrier(shared_address(&barrier, site), 0, "mbarrier_arrive", site);
}
inline void mbarrier_expect_bytes(Mbarrier& barrier, uint32_t bytes, Site site = Site::current()) {
  simt::arrive_at_mbarrier(shared_address(&barrier, site), bytes, "mbarrier_expect_bytes", site);
}
inline void mbarrier_arrive_cluster(Mbarrier& barrier, uint32_t rank, Site site = Site::current()) {
  const uint32_t own = shared_address(&barrier, site) & ((1u << simt::kRankShift) - 1);
  simt::arrive_at_mbarrier(own | rank << simt::kRankShift, 0, "mbarrier_arrive_cluster", site);
}
inline void mbarrier_release_cluster(Mbarrier& barrier, uint32_t rank, Site site = Site::current()) {
  mbarrier_arrive_cluster(barrier, rank, site);
}
inline void mbarrier_wait(Mbarrier& barrier, uint32_t parity, Site site = Site::current()) {
  simt::wait_for_mbarrier(shared_address(&barrier, site), parity, site);
}
inline void fence_async_shared() { simt::fence_async_view(); }

}  // namespace warploop::cuda
