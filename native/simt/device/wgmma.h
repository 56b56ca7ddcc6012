// cuda/device/wgmma.cuh on simt.
#pragma once
#include "simt/wgmma.h"

namespace warploop::cuda {

inline void wgmma_fence(Site site = Site::current()) { simt::fence_products(site); }
inline void wgmma_commit(Site site = Site::current()) { simt::commit_products(site); }
template <int kPending>
void wgmma_wait(Site site = Site::current()) {
  simt::wait_for_products(kPending, site);
}

template <class T, int kN, bool kTransA, bool kTransB>
void wgmma(float (&d)[kN / 2], uint64_t a, uint64_t b, bool accumulate, Site site = Site::current()) {
  static_assert(kN % 8 == 0 && kN >= 8 && kN <= 256);
  constexpr simt::MmaType type = std::is_same_v<T, bf16> ? simt::MmaType::bf16 : simt::MmaType::f16;
  simt::issue_product({kN, type, false, kTransA, kTransB}, {d, nullptr, a, b, accumulate}, "wgmma", site);
}
template <class T, int kN, bool kTransB>
void wgmma_registers(float (&d)[kN / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate,
                     Site site = Site::current()) {
  static_assert(kN % 8 == 0 && kN >= 8 && kN <= 256);
  constexpr simt::MmaType type = std::is_same_v<T, bf16> ? simt::MmaType::bf16 : simt::MmaType::f16;
  simt::issue_product({kN, type, true, false, kTransB}, {d, a, 0, b, accumulate}, "wgmma_registers", site);
}

template <int n>
void register_fence(float (&)[n]) {}
template <int steps>
void register_fence(uint32_t (&)[steps][4]) {}

}  // namespace warploop::cuda
