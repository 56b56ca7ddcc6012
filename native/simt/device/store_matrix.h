// cuda/device/store_matrix.cuh on simt.
#pragma once
#include "simt/store_matrix.h"

namespace warploop::cuda {

inline void store_matrix_x4(uint32_t row_address, const uint32_t (&r)[4], Site site = Site::current()) {
  simt::store_matrices(r, 4, row_address, site);
}

}  // namespace warploop::cuda
