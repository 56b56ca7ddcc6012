// Blocks that each leave a part of a result in global memory: which of them arrives last and puts the parts
// together.
#pragma once
#include "cuda/device/block.cuh"
#include "cuda/device/memory.cuh"

namespace warploop::cuda {

/// True in the block that is the last of `blocks` to come to `counter`, which starts at zero and is left so:
/// it sees what the threads of the others have written before. `is_last` is shared. Every thread of the block
/// calls it.
///
/// One atomic releases and acquires for the whole block: the barriers before and after it hand on what the
/// other threads have written, and what the last block has to see. A fence in every thread costs 1 to 2 us.
WARPLOOP_DEVICE bool arrive_last(uint32_t& counter, uint32_t blocks, bool& is_last) {
  sync_block();
  if (threadIdx.x == 0) {
    is_last = atomic_add_acq_rel(&counter, 1u) == blocks - 1;
    if (is_last) counter = 0;
  }
  sync_block();
  return is_last;
}

}  // namespace warploop::cuda
