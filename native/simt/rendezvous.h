// Operations that lanes of a warp carry out together: shuffles, votes, matrix products. All lanes named by
// the mask have to come, to the same operation at the same place; the last one does the work for all.
#pragma once
#include <cstdint>

#include "simt/model.h"

namespace warploop::simt {

/// Registers the calling lane. The last lane to come gets the rendezvous, with everybody's slots; the others
/// give way and get null when they are woken.
Rendezvous* arrive(const char* operation, uint32_t lanes, void* slot, Site site);
/// To be called by the lane that got it: everybody goes on.
void release(Rendezvous& rendezvous);

/// Calls perform(slots) once for all `lanes`; slots[i] is the `slot` of lane i, alive until perform returns.
template <class Slot, class Perform>
void meet(const char* operation, uint32_t lanes, Slot& slot, Site site, Perform perform) {
  Rendezvous* rendezvous = arrive(operation, lanes, &slot, site);
  if (!rendezvous) return;
  perform(reinterpret_cast<Slot* const*>(rendezvous->slots));
  release(*rendezvous);
}
/// The same for an operation without data.
inline void meet(const char* operation, uint32_t lanes, Site site) {
  if (Rendezvous* rendezvous = arrive(operation, lanes, nullptr, site)) release(*rendezvous);
}

}  // namespace warploop::simt
