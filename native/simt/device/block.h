// cuda/device/block.cuh on simt.
#pragma once
#include "simt/barrier.h"

namespace warploop::cuda {

inline void sync_block(Site site = Site::current()) {
  simt::wait_at_barrier(0, simt::kWholeBlock, "sync_block", site);
}
template <int kId>
void barrier_sync(int threads, Site site = Site::current()) {
  static_assert(kId > 0 && kId < 16);
  simt::wait_at_barrier(kId, threads, "barrier_sync", site);
}
template <int kId>
void barrier_arrive(int threads, Site site = Site::current()) {
  static_assert(kId > 0 && kId < 16);
  simt::arrive_at_barrier(kId, threads, "barrier_arrive", site);
}

}  // namespace warploop::cuda
