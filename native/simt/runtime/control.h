// Switches of the emulated runtime for tests.
#pragma once

namespace warploop::simt::runtime {

/// The next kernel that is launched ends in a device fault.
void fail_next_launch();

}  // namespace warploop::simt::runtime
