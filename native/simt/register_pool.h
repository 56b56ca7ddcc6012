// setmaxnreg: registers that warps give back and take.
#pragma once
#include <vector>

#include "simt/model.h"

namespace warploop::simt {

/// Of a block.
struct RegisterPool {
  std::vector<int> per_thread;  // per warp
  int free = 0;                 // registers
  std::vector<Thread*> waiters;
};

/// What a launch gives each of so many threads of a block, when the blocks of a multiprocessor share all that
/// it has.
int initial_registers(size_t threads);
void set_registers(int count, bool up, Site site);

}  // namespace warploop::simt
