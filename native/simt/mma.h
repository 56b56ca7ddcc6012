// ldmatrix and mma.sync of a warp.
#pragma once
#include <cstdint>

#include "simt/site.h"

namespace warploop::simt {

/// `matrices`: 2 or 4. r[matrices]: see cuda/device/mma.cuh.
void load_matrices(uint32_t* r, int matrices, bool transposed, uint32_t row_address, Site site);

enum class MmaType { bf16, f16 };

/// The bits of a 16-bit element as f32.
float widen(MmaType type, uint16_t bits);

void mma_m16n8k16(MmaType type, float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site site);

}  // namespace warploop::simt
