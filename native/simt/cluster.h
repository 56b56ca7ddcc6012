// What the blocks of a cluster do together.
#pragma once
#include <cstddef>
#include <cstdint>

#include "simt/model.h"

namespace warploop::simt {

/// barrier.cluster: every thread of the cluster arrives, then waits, whole warps together.
void arrive_at_cluster_barrier(Site site);
void wait_at_cluster_barrier(Site site);

/// The address in the shared memory of block `rank` that corresponds to `own`.
std::byte* peer_pointer(const void* own, uint32_t rank, const char* operation, Site site);

}  // namespace warploop::simt
