// The copy engine (TMA): one thread moves a box of a tensor, or a run of bytes, between global and shared
// memory (sm_90). PTX ISA: cp.async.bulk. Tensor maps come from cuda/tensor_map.h, as `const
// __grid_constant__ CUtensorMap` kernel arguments. Coordinates count elements, innermost dimension first.
//
// A box lies dense in shared memory, row after row of its innermost dimension, then swizzled: the swizzle
// looks at the address, so swizzled(swizzle, offset in the tile) holds for tiles aligned to 8 rows of it
// (1024, 512, 256 bytes). Any box: aligned to 128. Loads write zeros for elements outside the tensor (also at
// negative coordinates) and always count the bytes of the whole box at the barrier. Stores leave out what is
// outside.
#pragma once
#include <cuda.h>

#include "cuda/device/mbarrier.cuh"
#include "cuda/device/warp.cuh"

#ifdef WARPLOOP_SIMT
#include "simt/device/tma.h"
#else

namespace warploop::cuda {

/// True in one lane of the warp. All lanes call it; which lane it is, is not to be relied on.
WARPLOOP_DEVICE bool elect_one() {
  uint32_t elected;
  asm volatile(
      "{\n"
      ".reg .pred chosen;\n"
      "elect.sync _|chosen, 0xffffffff;\n"
      "selp.u32 %0, 1, 0, chosen;\n"
      "}"
      : "=r"(elected));
  return elected != 0;
}

WARPLOOP_DEVICE void tensor_map_prefetch(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

// The instruction is written once per direction; the rank only changes the list of coordinates.
#define WARPLOOP_TMA_LOAD(rank, coordinates, ...)                                                   \
  asm volatile("cp.async.bulk.tensor." rank                                                         \
               ".shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {" coordinates \
               "}], [%2];" ::"r"(shared_address(shared)),                                           \
               "l"(map), "r"(shared_address(&barrier)), __VA_ARGS__                                 \
               : "memory")
#define WARPLOOP_TMA_MULTICAST(rank, coordinates, ...)                                         \
  asm volatile("cp.async.bulk.tensor." rank                                                    \
               ".shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster " \
               "[%0], [%1, {" coordinates "}], [%2], %3;" ::"r"(shared_address(shared)),       \
               "l"(map), "r"(shared_address(&barrier)), "h"(block_mask), __VA_ARGS__           \
               : "memory")
#define WARPLOOP_TMA_STORE(rank, coordinates, ...)                                                   \
  asm volatile("cp.async.bulk.tensor." rank ".global.shared::cta.tile.bulk_group [%0, {" coordinates \
               "}], [%1];" ::"l"(map),                                                               \
               "r"(shared_address(shared)), __VA_ARGS__                                              \
               : "memory")
#define WARPLOOP_TMA_PREFETCH(rank, coordinates, ...)                                                       \
  asm volatile("cp.async.bulk.prefetch.tensor." rank ".L2.global.tile [%0, {" coordinates "}];" ::"l"(map), \
               __VA_ARGS__                                                                                  \
               : "memory")
#define WARPLOOP_C2 "r"(coords[0]), "r"(coords[1])
#define WARPLOOP_C3 WARPLOOP_C2, "r"(coords[2])
#define WARPLOOP_C4 WARPLOOP_C3, "r"(coords[3])
#define WARPLOOP_C5 WARPLOOP_C4, "r"(coords[4])

/// Copies the box at `coords` to `shared` and counts its bytes at `barrier`.
template <int kRank>
WARPLOOP_DEVICE void tma_load(void* shared, const CUtensorMap* map, Mbarrier& barrier,
                              const int (&coords)[kRank]) {
  static_assert(kRank >= 2 && kRank <= 5);
  if constexpr (kRank == 2) WARPLOOP_TMA_LOAD("2d", "%3, %4", WARPLOOP_C2);
  if constexpr (kRank == 3) WARPLOOP_TMA_LOAD("3d", "%3, %4, %5", WARPLOOP_C3);
  if constexpr (kRank == 4) WARPLOOP_TMA_LOAD("4d", "%3, %4, %5, %6", WARPLOOP_C4);
  if constexpr (kRank == 5) WARPLOOP_TMA_LOAD("5d", "%3, %4, %5, %6, %7", WARPLOOP_C5);
}
/// The same to every block of the cluster whose bit is set in `block_mask`: to the same place of its plan,
/// counted at the same barrier of its plan.
template <int kRank>
WARPLOOP_DEVICE void tma_load_multicast(void* shared, const CUtensorMap* map, Mbarrier& barrier,
                                        const int (&coords)[kRank], uint16_t block_mask) {
  static_assert(kRank >= 2 && kRank <= 5);
  if constexpr (kRank == 2) WARPLOOP_TMA_MULTICAST("2d", "%4, %5", WARPLOOP_C2);
  if constexpr (kRank == 3) WARPLOOP_TMA_MULTICAST("3d", "%4, %5, %6", WARPLOOP_C3);
  if constexpr (kRank == 4) WARPLOOP_TMA_MULTICAST("4d", "%4, %5, %6, %7", WARPLOOP_C4);
  if constexpr (kRank == 5) WARPLOOP_TMA_MULTICAST("5d", "%4, %5, %6, %7, %8", WARPLOOP_C5);
}
/// Copies the box in `shared` to the tensor. Before it: fence_async_shared() in the threads that wrote the
/// box, then a barrier. Part of the thread's open group of stores.
template <int kRank>
WARPLOOP_DEVICE void tma_store(const CUtensorMap* map, const void* shared, const int (&coords)[kRank]) {
  static_assert(kRank >= 2 && kRank <= 5);
  if constexpr (kRank == 2) WARPLOOP_TMA_STORE("2d", "%2, %3", WARPLOOP_C2);
  if constexpr (kRank == 3) WARPLOOP_TMA_STORE("3d", "%2, %3, %4", WARPLOOP_C3);
  if constexpr (kRank == 4) WARPLOOP_TMA_STORE("4d", "%2, %3, %4, %5", WARPLOOP_C4);
  if constexpr (kRank == 5) WARPLOOP_TMA_STORE("5d", "%2, %3, %4, %5, %6", WARPLOOP_C5);
}

/// Starts to bring the box at `coords` into L2, for a tma_load that comes later: it gives nobody a value, so
/// it may stand before wait_for_predecessors(). PTX ISA 9.7.9.27 (cp.async.bulk.prefetch.tensor).
template <int kRank>
WARPLOOP_DEVICE void tma_prefetch(const CUtensorMap* map, const int (&coords)[kRank]) {
  static_assert(kRank >= 2 && kRank <= 5);
  if constexpr (kRank == 2) WARPLOOP_TMA_PREFETCH("2d", "%1, %2", WARPLOOP_C2);
  if constexpr (kRank == 3) WARPLOOP_TMA_PREFETCH("3d", "%1, %2, %3", WARPLOOP_C3);
  if constexpr (kRank == 4) WARPLOOP_TMA_PREFETCH("4d", "%1, %2, %3, %4", WARPLOOP_C4);
  if constexpr (kRank == 5) WARPLOOP_TMA_PREFETCH("5d", "%1, %2, %3, %4, %5", WARPLOOP_C5);
}

#undef WARPLOOP_TMA_LOAD
#undef WARPLOOP_TMA_MULTICAST
#undef WARPLOOP_TMA_STORE
#undef WARPLOOP_TMA_PREFETCH
#undef WARPLOOP_C2
#undef WARPLOOP_C3
#undef WARPLOOP_C4
#undef WARPLOOP_C5

/// Closes the group of this thread's stores since the last commit.
WARPLOOP_DEVICE void tma_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
/// Waits until at most `kPending` of this thread's groups are under way. Needed before the block ends.
template <int kPending>
WARPLOOP_DEVICE void tma_store_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kPending) : "memory");
}
/// The same, but only until shared memory has been read and may be written again.
template <int kPending>
WARPLOOP_DEVICE void tma_store_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kPending) : "memory");
}

/// Copies `bytes` (a multiple of 16) and counts them at `barrier`. Both addresses aligned to 16.
WARPLOOP_DEVICE void bulk_load(void* shared, const void* global, uint32_t bytes, Mbarrier& barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(shared)),
      "l"(global), "r"(bytes), "r"(shared_address(&barrier))
      : "memory");
}

}  // namespace warploop::cuda
#endif
