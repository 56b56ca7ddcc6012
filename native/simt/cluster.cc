#include "simt/cluster.h"

#include <algorithm>
#include <vector>

#include "simt/diagnostics.h"
#include "simt/race.h"
#include "simt/rendezvous.h"
#include "simt/scheduler.h"

namespace warploop::simt {
namespace {

struct ClusterBarrier final : Attachment {
  size_t arrived = 0;  // threads in the current phase
  uint64_t phase = 0;
  std::vector<std::vector<uint64_t>>
      due;  // per block and thread: the phase it waits for next; 0: it has not arrived
  std::vector<Thread*> waiters;
};

ClusterBarrier& barrier_of(Cluster& cluster) {
  if (!cluster.attachment) {
    auto barrier = std::make_unique<ClusterBarrier>();
    for (const auto& block : cluster.blocks) barrier->due.emplace_back(block->threads.size(), 0);
    cluster.attachment = std::move(barrier);
  }
  return static_cast<ClusterBarrier&>(*cluster.attachment);
}

uint64_t& due_of(ClusterBarrier& barrier, const Thread& thread) {
  return barrier.due[static_cast<size_t>(thread.warp->block->rank)][static_cast<size_t>(thread.number)];
}

}  // namespace

void arrive_at_cluster_barrier(Site site) {
  const char* operation = "cluster_arrive";
  Cluster& cluster = *self_block().cluster;
  ClusterBarrier& barrier = barrier_of(cluster);
  meet(operation, self_warp().lanes, site);
  size_t threads = 0;
  for (const auto& block : cluster.blocks) threads += block->threads.size();
  if (cluster.running != static_cast<int>(threads)) {
    fail(operation, site, threads - static_cast<size_t>(cluster.running),
         " of the cluster's threads have ended");
  }
  uint64_t& due = due_of(barrier, self());
  if (due != 0) fail(operation, site, "the thread has not waited since its last arrival");
  due = barrier.phase + 1;
  race::release(self(), &barrier);
  if (++barrier.arrived < threads) return;
  barrier.arrived = 0;
  barrier.phase++;
  race::phase_over(self_block(), &barrier);
  for (Thread* waiter : barrier.waiters) scheduler().wake(*waiter);
  barrier.waiters.clear();
}

void wait_at_cluster_barrier(Site site) {
  const char* operation = "cluster_wait";
  ClusterBarrier& barrier = barrier_of(*self_block().cluster);
  meet(operation, self_warp().lanes, site);
  uint64_t& due = due_of(barrier, self());
  if (due == 0) fail(operation, site, "the thread has not arrived");
  if (barrier.phase < due) {
    barrier.waiters.push_back(&self());
    scheduler().block(operation, site);
  }
  due = 0;
  race::acquire(self(), &barrier);
}

std::byte* peer_pointer(const void* own, uint32_t rank, const char* operation, Site site) {
  const Block& block = self_block();
  if (!block.shared.holds(own)) fail(operation, site, own, " is not in the block's own shared memory");
  if (rank >= block.cluster->blocks.size()) {
    fail(operation, site, "rank ", rank, " in a cluster of ", block.cluster->blocks.size());
  }
  const Block& peer = *block.cluster->blocks[rank];
  if (peer.running == 0) fail(operation, site, "block ", rank, " of the cluster has ended");
  return peer.shared.data() + (static_cast<const std::byte*>(own) - block.shared.data());
}

}  // namespace warploop::simt
