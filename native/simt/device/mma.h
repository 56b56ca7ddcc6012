// cuda/device/mma.cuh on simt.
#pragma once
#include "simt/mma.h"

namespace warploop::cuda {

inline void load_matrix_x4(uint32_t (&r)[4], uint32_t row_address, Site site = Site::current()) {
  simt::load_matrices(r, 4, false, row_address, site);
}
inline void load_matrix_x4_transposed(uint32_t (&r)[4], uint32_t row_address, Site site = Site::current()) {
  simt::load_matrices(r, 4, true, row_address, site);
}
inline void load_matrix_x2(uint32_t (&r)[2], uint32_t row_address, Site site = Site::current()) {
  simt::load_matrices(r, 2, false, row_address, site);
}
inline void load_matrix_x2_transposed(uint32_t (&r)[2], uint32_t row_address, Site site = Site::current()) {
  simt::load_matrices(r, 2, true, row_address, site);
}

template <class T>
void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                  Site site = Site::current()) {
  constexpr simt::MmaType type = std::is_same_v<T, bf16> ? simt::MmaType::bf16 : simt::MmaType::f16;
  simt::mma_m16n8k16(type, d, a, b0, b1, site);
}

}  // namespace warploop::cuda
