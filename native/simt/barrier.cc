#include "simt/barrier.h"

#include <bit>

#include "simt/diagnostics.h"
#include "simt/race.h"
#include "simt/rendezvous.h"
#include "simt/scheduler.h"

namespace warploop::simt {
namespace {

/// Counts the calling thread's warp. True: it was the last.
bool count(int id, int threads, const char* operation, Site site) {
  Warp& warp = self_warp();
  Block& block = *warp.block;
  Barrier& barrier = block.barriers[static_cast<size_t>(id)];
  const int expected = threads == kWholeBlock ? static_cast<int>(block.threads.size()) : threads;
  const uint32_t warp_bit = 1u << warp.number;
  if (threads != kWholeBlock &&
      (threads <= 0 || threads % 32 != 0 || threads > static_cast<int>(block.threads.size()))) {
    fail(operation, site, threads, " threads: expected a multiple of 32, at most the ", block.threads.size(),
         " of the block");
  }
  if (threads == kWholeBlock && block.running != expected) {
    fail(operation, site, expected - block.running, " of the block's threads have ended");
  }
  if (barrier.arrived == 0) {
    barrier.expected = expected;
    barrier.site = site;
  } else if (barrier.expected != expected) {
    fail(operation, site, "barrier ", id, " is used for ", expected, " threads, at ", place(barrier.site),
         " for ", barrier.expected);
  } else if (threads == kWholeBlock && !same_place(barrier.site, site)) {
    fail(operation, site, "other warps of the block wait at ", place(barrier.site),
         ": all have to come to the same place");
  }
  if (barrier.arrived_warps & warp_bit) {
    fail(operation, site, "warp ", warp.number, " comes to barrier ", id, " twice before it opens");
  }
  barrier.arrived_warps |= warp_bit;
  barrier.arrived += std::popcount(warp.lanes);
  if (barrier.arrived > expected) {
    fail(operation, site, barrier.arrived, " threads come to barrier ", id, " for ", expected);
  }
  race::barrier_arrived(barrier, warp);
  return barrier.arrived == expected;
}

/// Everybody who waits goes on, `last` too.
void open(Barrier& barrier, Block& block) {
  const Thread& last = self();
  for (uint32_t waiting = barrier.waiting_warps; waiting; waiting &= waiting - 1) {
    Warp& warp = block.warps[static_cast<size_t>(std::countr_zero(waiting))];
    race::barrier_left(barrier, warp);
    const uint32_t own = &warp == last.warp ? 1u << last.lane : 0u;
    if (warp.lanes != own) scheduler().wake(warp, warp.lanes & ~own);
  }
  barrier = {};
}

}  // namespace

void wait_at_barrier(int id, int threads, const char* operation, Site site) {
  Warp& warp = self_warp();
  Rendezvous* rendezvous = arrive(operation, warp.lanes, nullptr, site);
  if (!rendezvous) return;  // woken by open()
  rendezvous->lanes = 0;
  const bool complete = count(id, threads, operation, site);
  Barrier& barrier = warp.block->barriers[static_cast<size_t>(id)];
  barrier.waiting_warps |= 1u << warp.number;
  if (complete) {
    open(barrier, *warp.block);
  } else {
    scheduler().block(operation, site);
  }
}

void arrive_at_barrier(int id, int threads, const char* operation, Site site) {
  Warp& warp = self_warp();
  Rendezvous* rendezvous = arrive(operation, warp.lanes, nullptr, site);
  if (!rendezvous) return;
  if (count(id, threads, operation, site)) open(warp.block->barriers[static_cast<size_t>(id)], *warp.block);
  release(*rendezvous);
}

}  // namespace warploop::simt
