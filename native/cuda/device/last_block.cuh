// Blocks that each leave a part of a result in global memory: which of them arrives last and puts the parts
// together.
#pragma once
#include "cuda/device/block.cuh"
#include "cuda/device/memory.cuh"

namespace warploop::cuda {

/// All threads of a block. Those of a part of it come with a barrier of their own.
struct BlockThreads {
  WARPLOOP_DEVICE static int index() { return static_cast<int>(threadIdx.x); }
  WARPLOOP_DEVICE static int count() { return static_cast<int>(blockDim.x); }
  WARPLOOP_DEVICE static void sync() { sync_block(); }
};

/// True in the block that is the last of `blocks` to come to `counter`, which starts at zero and is left so:
/// it sees what the threads of the others have written before. `is_last` is shared. Each of `threads` calls
/// it.
///
/// One atomic releases and acquires for the whole block: the barriers before and after it hand on what the
/// other threads have written, and what the last block has to see. A fence in every thread costs 1 to 2 us.
template <class Threads = BlockThreads>
WARPLOOP_DEVICE bool arrive_last(uint32_t& counter, uint32_t blocks, bool& is_last, Threads threads = {}) {
  threads.sync();
  if (threads.index() == 0) {
    is_last = atomic_add_acq_rel(&counter, 1u) == blocks - 1;
    if (is_last) counter = 0;
  }
  threads.sync();
  return is_last;
}

}  // namespace warploop::cuda
