#include "simt/rendezvous.h"

#include <cstring>

#include "simt/diagnostics.h"
#include "simt/race.h"
#include "simt/scheduler.h"

namespace warploop::simt {
namespace {

/// A new one. Masks may overlap (a group of lanes may be late for the whole warp's next operation), but lanes
/// that wait for the caller elsewhere do not come to it.
Rendezvous& open(Warp& warp, int caller, const char* operation, uint32_t lanes, Site site) {
  if (const uint32_t missing = lanes & ~warp.lanes) {
    fail(operation, site, "the mask ", hex(lanes),
         " names lanes that the warp does not have: ", hex(missing));
  }
  if (const uint32_t gone = lanes & warp.ended) {
    fail(operation, site, "waits for lanes that have ended: ", hex(gone));
  }
  Rendezvous* free = nullptr;
  for (Rendezvous& other : warp.rendezvous) {
    if (other.lanes == 0) {
      if (!free) free = &other;
    } else if ((other.lanes >> caller & 1) && (other.arrived & lanes)) {
      fail(operation, site, "the mask ", hex(lanes), " overlaps with the mask ", hex(other.lanes), " of ",
           other.operation, " at ", place(other.site), ", where lanes ", hex(other.arrived),
           " wait for lane ", caller);
    }
  }
  if (!free) fail(operation, site, "more than 8 groups of the warp's lanes act at the same time");
  free->lanes = lanes;
  free->arrived = 0;
  free->operation = operation;
  free->site = site;
  return *free;
}

bool same_name(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }

/// The rendezvous with this very mask, or null.
Rendezvous* find(Warp& warp, uint32_t lanes) {
  for (Rendezvous& r : warp.rendezvous) {
    if (r.lanes == lanes) return &r;
  }
  return nullptr;
}

}  // namespace

Rendezvous* arrive(const char* operation, uint32_t lanes, void* slot, Site site) {
  Thread& thread = self();
  Warp& warp = *thread.warp;
  const uint32_t lane_bit = 1u << thread.lane;
  if (!(lanes & lane_bit)) {
    fail(operation, site, "the calling lane ", thread.lane, " is not in the mask ", hex(lanes));
  }
  Rendezvous* r = find(warp, lanes);
  if (!r) {
    r = &open(warp, thread.lane, operation, lanes, site);
  } else if (!same_name(r->operation, operation) || !same_place(r->site, site)) {
    fail(operation, site, "lanes ", hex(r->arrived), " of the warp wait in ", r->operation, " at ",
         place(r->site), ": all lanes of the mask ", hex(lanes), " have to come to the same place");
  }
  r->slots[thread.lane] = slot;
  r->arrived |= lane_bit;
  if (r->arrived == lanes) {
    scheduler().counters.rendezvous++;
    race::lanes_met(warp, lanes);
    return r;
  }
  scheduler().block(operation, site);
  return nullptr;
}

void release(Rendezvous& rendezvous) {
  Thread& thread = self();
  const uint32_t others = rendezvous.lanes & ~(1u << thread.lane);
  rendezvous.lanes = 0;
  if (others) scheduler().wake(*thread.warp, others);
}

}  // namespace warploop::simt
