// Tensor cores of sm_90a: the product of a warpgroup, D [64, N] (+)= A [64, 16] B [16, N], T = bf16 or f16,
// f32 sums, N any multiple of 8 from 8 to 256. PTX ISA: wgmma.
//
// The product runs beside the warps. Order of use:
//   wgmma_fence();                       // registers are ready; shared memory is after fence_async_shared()
//   wgmma(...) ...; wgmma_commit();      // a group
//   wgmma_wait<0>();                     // D may be read, A's registers written, shared memory reused
// Between issue and wait neither D nor A in registers may be touched, not even copied. All four warps of the
// warpgroup (threads 128 w to 128 w + 127) call each function from the same place with the same descriptors.
//
// D: thread l of warp w (of four) holds, with g = l / 4, t = l % 4, in d[4 j..4 j + 3] columns 8 j + 2 t, + 1
// of row 16 w + g, then the same of row 16 w + g + 8. A in registers: as a of mma_m16n8k16, of rows 16 w...
//
// In shared memory a row of the tile runs along k for A and for B^T [N, 16] ("K-major"); with kTransA,
// kTransB it runs along m, n ("MN-major": stored as [16, 64], [16, N]). With R = bytes of the swizzle (128,
// 64, 32) and tiles as tma_load writes them from boxes with rows of R bytes:
//   K-major    row r at R r. sbo = 8 R, from 8 rows to the next 8; lbo unused. Next 16 k: address + 32, in R.
//   MN-major   row k at R k with R / 2 elements of m or n. sbo = 8 R, from 8 k to the next 8; lbo = from
//              R / 2 elements of m or n to the next (one box). Next 16 k: address + 16 R.
// Without swizzle the tile is made of cores of 8 rows of 16 bytes, 128 bytes in a run. K-major: lbo from core
// to core along k, sbo along m or n. MN-major: lbo along k, sbo along m or n.
#pragma once
#include "cuda/device/dtype.cuh"
#include "cuda/swizzle.h"

namespace warploop::cuda {

/// Names a matrix in shared memory; all in bytes, multiples of 16, below 2^18. The address of the tile's
/// pattern is aligned to 8 rows of the swizzle.
constexpr uint64_t matrix_descriptor(uint32_t shared_address, uint32_t lbo_bytes, uint32_t sbo_bytes,
                                     Swizzle swizzle) {
  return uint64_t{(shared_address & 0x3ffffu) >> 4} | uint64_t{(lbo_bytes & 0x3ffffu) >> 4} << 16 |
         uint64_t{(sbo_bytes & 0x3ffffu) >> 4} << 32 | uint64_t{static_cast<uint32_t>(swizzle)} << 62;
}

}  // namespace warploop::cuda

#ifdef WARPLOOP_SIMT
#include "simt/device/wgmma.h"
#else
#include "cuda/device/wgmma_instruction.cuh"

namespace warploop::cuda {

/// Before the first wgmma and whenever registers of one were written since.
WARPLOOP_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// Closes the group of the products since the last commit.
WARPLOOP_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until at most `kPending` groups of this warp are under way.
template <int kPending>
WARPLOOP_DEVICE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

/// d = a b, or d += a b; both in shared memory.
template <class T, int kN, bool kTransA, bool kTransB>
WARPLOOP_DEVICE void wgmma(float (&d)[kN / 2], uint64_t a, uint64_t b, bool accumulate) {
  static_assert(kN % 8 == 0 && kN >= 8 && kN <= 256);
  wgmma_instruction<T, int{kTransA}, int{kTransB}>(d, a, b, static_cast<int>(accumulate));
}
/// The same with A from registers.
template <class T, int kN, bool kTransB>
WARPLOOP_DEVICE void wgmma_registers(float (&d)[kN / 2], const uint32_t (&a)[4], uint64_t b,
                                     bool accumulate) {
  static_assert(kN % 8 == 0 && kN >= 8 && kN <= 256);
  wgmma_instruction<T, int{kTransB}>(d, a, b, static_cast<int>(accumulate));
}

/// Keeps the compiler from moving reads and writes of `d` across this place. Costs nothing.
template <int n>
WARPLOOP_DEVICE void register_fence(float (&d)[n]) {
#pragma unroll
  for (int i = 0; i < n; i++) asm volatile("" : "+f"(d[i])::"memory");
}
/// The same for A operands in registers.
template <int steps>
WARPLOOP_DEVICE void register_fence(uint32_t (&a)[steps][4]) {
#pragma unroll
  for (int step = 0; step < steps; step++) {
#pragma unroll
    for (int i = 0; i < 4; i++) asm volatile("" : "+r"(a[step][i])::"memory");
  }
}

}  // namespace warploop::cuda
#endif
