// mbarrier objects. Their state is in the 8 bytes of shared memory that the kernel set aside; what this file
// adds per block is who waits.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "simt/model.h"

namespace warploop::simt {

/// Of a block.
struct Mbarriers {
  struct Waiter {
    uint32_t offset;  // of the barrier in the block's shared memory
    uint32_t parity;
    Thread* thread;
  };
  struct Fresh {
    uint32_t offset;
    const Thread* thread;
  };
  std::vector<Waiter> waiters;
  std::vector<Fresh> fresh;  // initialised, but the copy engine and the cluster may not know yet
};

void init_mbarrier(uint32_t address, int arrivals, Site site);
/// What the calling thread has initialised is known to everybody.
void publish_mbarriers();
/// Expects `bytes`, then arrives. The barrier may lie in another block of the cluster.
void arrive_at_mbarrier(uint32_t address, uint32_t bytes, const char* operation, Site site);
void wait_for_mbarrier(uint32_t address, uint32_t parity, Site site);
/// " for parity ... of the barrier at ..." for a thread of the block that waits for one, else empty.
std::string barrier_of(const Block& block, const Mbarriers& mbarriers, const Thread& thread);

/// Fails unless there is a barrier at `offset` of the block's shared memory that the copy engine knows.
void check_mbarrier(Block& block, uint32_t offset, const char* operation, Site site);
/// The copy engine has moved `bytes`.
void complete_bytes(Block& block, uint32_t offset, uint32_t bytes, const char* operation, Site site);

}  // namespace warploop::simt
