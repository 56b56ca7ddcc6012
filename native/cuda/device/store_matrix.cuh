// stmatrix: the inverse of ldmatrix (sm_90). PTX ISA: stmatrix.
#pragma once
#include "cuda/device/platform.cuh"

#ifdef WARPLOOP_SIMT
#include "simt/device/store_matrix.h"
#else

namespace warploop::cuda {

/// Four 8x8 matrices of 16-bit elements. Lane l gives the shared address of row l % 8 of matrix l / 8 (16
/// bytes, aligned) and, in r[i], elements 2(l % 4), 2(l % 4) + 1 of row l / 4 of matrix i.
WARPLOOP_DEVICE void store_matrix_x4(uint32_t row_address, const uint32_t (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row_address),
               "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
}

}  // namespace warploop::cuda
#endif
