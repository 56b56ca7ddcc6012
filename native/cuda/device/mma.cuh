// Tensor cores of sm_80 and later: 8x8 matrix moves and the 16x8x16 product of a warp.
//
// Fragments of m16n8k16 (PTX ISA 9.7.14.5.8), g = lane / 4, t = lane % 4, two 16-bit values to a register,
// low half first:
//   A [16, 16]  a[0] = (g, 2t..)  a[1] = (g + 8, 2t..)  a[2] = (g, 2t + 8..)  a[3] = (g + 8, 2t + 8..)
//   B [16, 8]   b[0] = (2t.., g)  b[1] = (2t + 8.., g)
//   D [16, 8]   d[0], d[1] = (g, 2t), (g, 2t + 1)      d[2], d[3] = (g + 8, 2t), (g + 8, 2t + 1)
#pragma once
#include "cuda/device/dtype.cuh"

#ifdef WARPLOOP_SIMT
#include "simt/device/mma.h"
#else

namespace warploop::cuda {

/// Four 8x8 matrices of 16-bit elements. Lane l gives the shared address of row l % 8 of matrix l / 8 (16
/// bytes, aligned); it gets elements 2(l % 4), 2(l % 4) + 1 of row l / 4 of matrix i in r[i].
WARPLOOP_DEVICE void load_matrix_x4(uint32_t (&r)[4], uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row_address)
               : "memory");
}
/// The same with each matrix transposed: elements (2(l % 4), l / 4) and (2(l % 4) + 1, l / 4).
WARPLOOP_DEVICE void load_matrix_x4_transposed(uint32_t (&r)[4], uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row_address)
               : "memory");
}
/// Two matrices; lanes 0 to 15 give the addresses, those of the others are ignored.
WARPLOOP_DEVICE void load_matrix_x2(uint32_t (&r)[2], uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(row_address)
               : "memory");
}
WARPLOOP_DEVICE void load_matrix_x2_transposed(uint32_t (&r)[2], uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(row_address)
               : "memory");
}

/// d += a b with f32 accumulators; T: bf16 | f16. All 32 lanes.
template <class T>
WARPLOOP_DEVICE void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (std::is_same_v<T, bf16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

}  // namespace warploop::cuda
#endif
