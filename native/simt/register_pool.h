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

/// What a launch of so many threads gives each of them, when the kernel asks for all of a multiprocessor.
int initial_registers(size_t threads);
void set_registers(int count, bool up, Site site);

}  // namespace warploop::simt
