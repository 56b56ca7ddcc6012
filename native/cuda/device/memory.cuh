// Atomics and ordering between blocks. All on global memory, device scope, unless the name says otherwise.
#pragma once
#include "cuda/device/platform.cuh"

#ifdef WARPLOOP_SIMT
#include "simt/device/memory.h"
#else

namespace warploop::cuda {

/// Returns the old value. T: int32_t, uint32_t, float, unsigned long long; global or shared memory.
template <class T>
WARPLOOP_DEVICE T atomic_add(T* p, T value) {
  return atomicAdd(p, value);
}
/// T: int32_t, uint32_t, unsigned long long; global or shared memory.
template <class T>
WARPLOOP_DEVICE T atomic_max(T* p, T value) {
  return atomicMax(p, value);
}
/// Writes `desired` where *p == expected; returns the old value. T: uint32_t, unsigned long long.
template <class T>
WARPLOOP_DEVICE T atomic_compare_exchange(T* p, T expected, T desired) {
  return atomicCAS(p, expected, desired);
}

/// atomic_add that releases what this thread knows and acquires what those knew who came to *p before.
WARPLOOP_DEVICE uint32_t atomic_add_acq_rel(uint32_t* p, uint32_t value) {
  uint32_t old;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;" : "=r"(old) : "l"(p), "r"(value) : "memory");
  return old;
}
/// Orders this thread's accesses before against those after, as all threads of the device see them.
WARPLOOP_DEVICE void fence_device() { __threadfence(); }
WARPLOOP_DEVICE uint32_t load_acquire(const uint32_t* p) {
  uint32_t v;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
/// A store that others may make at the same time, all with the same value. It orders nothing.
WARPLOOP_DEVICE void store_relaxed(uint32_t* p, uint32_t value) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(value) : "memory");
}
WARPLOOP_DEVICE void store_release(uint32_t* p, uint32_t value) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(value) : "memory");
}
/// Belongs into every loop that polls.
WARPLOOP_DEVICE void back_off() { __nanosleep(64); }

}  // namespace warploop::cuda
#endif
