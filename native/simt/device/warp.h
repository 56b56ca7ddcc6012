// cuda/device/warp.cuh on simt.
#pragma once
#include <bit>

#include "simt/diagnostics.h"
#include "simt/race.h"
#include "simt/rendezvous.h"

namespace warploop::cuda {

inline int lane_index() { return simt::self().lane; }
inline int warp_index() { return simt::self().warp->number; }

namespace simt_detail {

/// Every lane brings a value and the lane that it wants to read.
template <class T>
T exchange(const char* operation, T value, int source, uint32_t lanes, Site site) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  struct Slot {
    T value, result;
    int source;
  } own{value, value, source};
  simt::meet(operation, lanes, own, site, [&](Slot* const* slots) {
    for (uint32_t left = lanes; left; left &= left - 1) {
      Slot& slot = *slots[std::countr_zero(left)];
      if (!(lanes >> slot.source & 1)) {
        simt::fail(operation, site, "lane ", std::countr_zero(left), " reads lane ", slot.source,
                   ", which is not in the mask ", simt::hex(lanes));
      }
      slot.result = slots[slot.source]->value;
    }
  });
  return own.result;
}

}  // namespace simt_detail

template <class T>
T shuffle(T value, int lane, uint32_t lanes = kAllLanes, Site site = Site::current()) {
  return simt_detail::exchange("shuffle", value, lane & 31, lanes, site);
}
template <class T>
T shuffle_xor(T value, int mask, uint32_t lanes = kAllLanes, Site site = Site::current()) {
  return simt_detail::exchange("shuffle_xor", value, (lane_index() ^ mask) & 31, lanes, site);
}
template <class T>
T shuffle_up(T value, int delta, uint32_t lanes = kAllLanes, Site site = Site::current()) {
  const int source = lane_index() - delta;
  return simt_detail::exchange("shuffle_up", value, source < 0 ? lane_index() : source, lanes, site);
}
template <class T>
T shuffle_down(T value, int delta, uint32_t lanes = kAllLanes, Site site = Site::current()) {
  const int source = lane_index() + delta;
  return simt_detail::exchange("shuffle_down", value, source > 31 ? lane_index() : source, lanes, site);
}
inline uint32_t ballot(bool predicate, uint32_t lanes = kAllLanes, Site site = Site::current()) {
  struct Slot {
    bool predicate;
    uint32_t result;
  } own{predicate, 0};
  simt::meet("ballot", lanes, own, site, [&](Slot* const* slots) {
    uint32_t votes = 0;
    for (uint32_t left = lanes; left; left &= left - 1) {
      const int lane = std::countr_zero(left);
      if (slots[lane]->predicate) votes |= 1u << lane;
    }
    for (uint32_t left = lanes; left; left &= left - 1) slots[std::countr_zero(left)]->result = votes;
  });
  return own.result;
}
inline bool any_lane(bool predicate, uint32_t lanes = kAllLanes, Site site = Site::current()) {
  return ballot(predicate, lanes, site) != 0;
}
inline bool all_lanes(bool predicate, uint32_t lanes = kAllLanes, Site site = Site::current()) {
  return ballot(predicate, lanes, site) == lanes;
}
inline uint32_t match_lanes(int value, uint32_t lanes = kAllLanes, Site site = Site::current()) {
  struct Slot {
    int value;
    uint32_t result;
  } own{value, 0};
  simt::meet("match_lanes", lanes, own, site, [&](Slot* const* slots) {
    for (uint32_t left = lanes; left; left &= left - 1) {
      Slot& slot = *slots[std::countr_zero(left)];
      for (uint32_t others = lanes; others; others &= others - 1) {
        const int other = std::countr_zero(others);
        if (slots[other]->value == slot.value) slot.result |= 1u << other;
      }
    }
  });
  return own.result;
}
inline void sync_warp(uint32_t lanes = kAllLanes, Site site = Site::current()) {
  char none = 0;
  simt::meet("sync_warp", lanes, none, site,
             [&](char* const*) { simt::race::warp_synchronized(simt::self_warp(), lanes); });
}

}  // namespace warploop::cuda
