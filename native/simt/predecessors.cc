#include "simt/predecessors.h"

#include "simt/diagnostics.h"
#include "simt/fiber.h"

namespace warploop::simt {

void check_early_access(const char* operation, const void* p, Site site) {
  const Thread& thread = self();
  if (thread.fiber && thread.fiber->holds(p)) return;
  for (const auto& block : thread.warp->block->cluster->blocks) {
    if (block->shared.holds(p)) return;
  }
  fail(operation, site, "global memory at ", p, " before wait_for_predecessors()");
}

}  // namespace warploop::simt
