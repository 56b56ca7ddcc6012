// cuda/device/memory.cuh on simt. One OS thread runs the grid, but others may run other streams: real
// atomics.
#pragma once
#include <type_traits>

#include "simt/predecessors.h"
#include "simt/race.h"
#include "simt/scheduler.h"

namespace warploop::cuda {

template <class T>
T atomic_compare_exchange(T* p, T expected, T desired, Site site = Site::current()) {
  simt::accesses_memory("atomic_compare_exchange", p, site);
  simt::race::device_atomic(simt::self(), p, simt::race::Order::relaxed);
  __atomic_compare_exchange(p, &expected, &desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}
template <class T>
T atomic_add(T* p, T value, Site site = Site::current()) {
  simt::accesses_memory("atomic_add", p, site);
  simt::race::device_atomic(simt::self(), p, simt::race::Order::relaxed);
  if constexpr (std::is_integral_v<T>) {
    return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST);
  } else {
    T old, sum;
    __atomic_load(p, &old, __ATOMIC_SEQ_CST);
    do {
      sum = old + value;
    } while (!__atomic_compare_exchange(p, &old, &sum, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return old;
  }
}
template <class T>
T atomic_max(T* p, T value, Site site = Site::current()) {
  simt::accesses_memory("atomic_max", p, site);
  simt::race::device_atomic(simt::self(), p, simt::race::Order::relaxed);
  T old = __atomic_load_n(p, __ATOMIC_SEQ_CST);
  while (old < value &&
         !__atomic_compare_exchange_n(p, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
  }
  return old;
}

inline uint32_t atomic_add_acq_rel(uint32_t* p, uint32_t value, Site site = Site::current()) {
  simt::accesses_memory("atomic_add_acq_rel", p, site);
  simt::race::device_atomic(simt::self(), p, simt::race::Order::both);
  return __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST);
}
inline void fence_device() { simt::race::device_fence(simt::self()); }
inline uint32_t load_acquire(const uint32_t* p, Site site = Site::current()) {
  simt::accesses_memory("load_acquire", p, site);
  simt::race::device_atomic(simt::self(), p, simt::race::Order::acquire);
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
inline void store_relaxed(uint32_t* p, uint32_t value, Site site = Site::current()) {
  simt::accesses_memory("store_relaxed", p, site);
  __atomic_store_n(p, value, __ATOMIC_RELAXED);
}
inline void store_release(uint32_t* p, uint32_t value, Site site = Site::current()) {
  simt::accesses_memory("store_release", p, site);
  simt::race::device_atomic(simt::self(), p, simt::race::Order::release);
  __atomic_store_n(p, value, __ATOMIC_RELEASE);
}
inline void back_off(Site site = Site::current()) { simt::scheduler().yield("back_off", site); }

}  // namespace warploop::cuda
