// What the processor offers this process: cores that may be used, and the instruction set to use.
#pragma once
#include <string>
#include <vector>

namespace warploop::cpu {

/// Physical cores this process may run on: affinity mask, SMT siblings counted once, limited by the cgroup
/// CPU quota.
int usable_cores();

}  // namespace warploop::cpu
