// cuda/device/tma.cuh on simt.
#pragma once
#include "simt/bulk_copy.h"
#include "simt/sm90.h"

namespace warploop::cuda {

inline bool elect_one(Site site = Site::current()) { return simt::elect_lane(site); }
inline void tensor_map_prefetch(const CUtensorMap* map, Site site = Site::current()) {
  simt::check_tensor_map(map, site);
}

template <int kRank>
void tma_load(void* shared, const CUtensorMap* map, Mbarrier& barrier, const int (&coords)[kRank],
              Site site = Site::current()) {
  static_assert(kRank >= 2 && kRank <= 5);
  simt::load_box(shared_address(shared, site), map, shared_address(&barrier, site), coords, kRank,
                 simt::kOwnBlock, "tma_load", site);
}
template <int kRank>
void tma_load_multicast(void* shared, const CUtensorMap* map, Mbarrier& barrier, const int (&coords)[kRank],
                        uint16_t block_mask, Site site = Site::current()) {
  static_assert(kRank >= 2 && kRank <= 5);
  if (block_mask == 0) simt::fail("tma_load_multicast", site, "the mask of blocks is empty");
  simt::load_box(shared_address(shared, site), map, shared_address(&barrier, site), coords, kRank, block_mask,
                 "tma_load_multicast", site);
}
template <int kRank>
void tma_store(const CUtensorMap* map, const void* shared, const int (&coords)[kRank],
               Site site = Site::current()) {
  static_assert(kRank >= 2 && kRank <= 5);
  simt::store_box(map, shared_address(shared, site), coords, kRank, site);
}
template <int kRank>
void tma_prefetch(const CUtensorMap* map, const int (&)[kRank], Site site = Site::current()) {
  static_assert(kRank >= 2 && kRank <= 5);
  simt::prefetch_box(map, kRank, site);
}
inline void tma_store_commit() { simt::commit_stores(); }
template <int kPending>
void tma_store_wait() {
  simt::wait_for_stores(kPending, false);
}
template <int kPending>
void tma_store_wait_read() {
  simt::wait_for_stores(kPending, true);
}
inline void bulk_load(void* shared, const void* global, uint32_t bytes, Mbarrier& barrier,
                      Site site = Site::current()) {
  simt::load_bytes(shared_address(shared, site), global, bytes, shared_address(&barrier, site), site);
}

}  // namespace warploop::cuda
