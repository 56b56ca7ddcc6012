// stmatrix.
#pragma once
#include <cstdint>

#include "simt/site.h"

namespace warploop::simt {

/// r: one register per matrix. The first 8 `matrices` lanes give the addresses of rows.
void store_matrices(const uint32_t* r, int matrices, uint32_t row_address, Site site);

}  // namespace warploop::simt
