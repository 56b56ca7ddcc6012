// Switches of the emulated runtime for tests.
#pragma once
#include <cstdint>

namespace warploop::simt::runtime {

/// The next kernel that is launched ends in a device fault.
void fail_next_launch();
/// From now on a grid runs its last `blocks` blocks only (clusters, where it has them): of a problem that is
/// too large to be emulated, the part with the largest offsets. 0: all of them.
void run_last_blocks(uint64_t blocks);
bool runs_last_blocks();

}  // namespace warploop::simt::runtime
