#include "simt/register_pool.h"

#include <algorithm>

#include "simt/diagnostics.h"
#include "simt/rendezvous.h"
#include "simt/scheduler.h"
#include "simt/sm90.h"

namespace warploop::simt {

int initial_registers(size_t threads) {
  const auto blocks = static_cast<size_t>(scheduler().launch().kernel->blocks);
  return static_cast<int>(std::min<size_t>(65536 / (threads * blocks) / 8 * 8, 256));
}

void set_registers(int count, bool up, Site site) {
  const char* operation = up ? "set_registers_up" : "set_registers_down";
  Warp& warp = self_warp();
  RegisterPool& pool = sm90(*warp.block).registers;
  Rendezvous* rendezvous = arrive(operation, warp.lanes, nullptr, site);
  if (!rendezvous) return;
  int& own = pool.per_thread[static_cast<size_t>(warp.number)];
  if (up ? count < own : count > own)
    fail(operation, site, "from ", own, " to ", count, " registers per thread");
  while (pool.free < (count - own) * 32) {
    pool.waiters.push_back(&self());
    scheduler().block(operation, site);
  }
  pool.free -= (count - own) * 32;
  own = count;
  for (Thread* waiter : pool.waiters) scheduler().wake(*waiter);
  pool.waiters.clear();
  release(*rendezvous);
}

}  // namespace warploop::simt
