// Barriers in shared memory that count arrivals of threads and bytes of asynchronous copies (sm_90).
//
// A phase ends when all arrivals and all expected bytes are there; the barrier then starts the next one by
// itself. Phases are told apart by parity: waiting for parity p returns once the current phase has another
// parity, so a fresh barrier (in phase 0) lets a wait for parity 1 pass at once. A waiter is at most one
// phase behind. PTX ISA: mbarrier.
#pragma once
#include "cuda/device/platform.cuh"

namespace warploop::cuda {

/// A member of a kernel's shared plan.
struct Mbarrier {
  uint64_t state;
};

}  // namespace warploop::cuda

#ifdef WARPLOOP_SIMT
#include "simt/device/mbarrier.h"
#else
#ifdef WARPLOOP_TRAP
#include "cuda/device/stuck_barrier.cuh"
#endif

namespace warploop::cuda {

/// One thread initialises, then fence_mbarrier_init(), then a barrier of the block (with a cluster: of the
/// cluster). `arrivals` of one phase: 1 to 2^20 - 1.
WARPLOOP_DEVICE void mbarrier_init(Mbarrier& barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)), "r"(arrivals)
               : "memory");
}
/// Makes the barriers initialised by this thread known to the copy engine and to the cluster.
WARPLOOP_DEVICE void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

/// One arrival; what this thread did before is visible to those who wait.
WARPLOOP_DEVICE void mbarrier_arrive(Mbarrier& barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier)) : "memory");
}
/// One arrival that makes the current phase last until `bytes` more bytes have been copied.
WARPLOOP_DEVICE void mbarrier_expect_bytes(Mbarrier& barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)),
               "r"(bytes)
               : "memory");
}
/// One arrival at the barrier at the same place of the plan of block `rank` of the cluster (the own rank is
/// allowed).
WARPLOOP_DEVICE void mbarrier_arrive_cluster(Mbarrier& barrier, uint32_t rank) {
  asm volatile(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n"
      "}" ::"r"(shared_address(&barrier)),
      "r"(rank)
      : "memory");
}
/// The same without ordering what this thread did before: for giving back memory that only wgmma has read.
/// The ordered one waits for all of the thread's memory accesses (MEMBAR.GPU), hundreds of cycles in the main
/// loop of a matrix product.
WARPLOOP_DEVICE void mbarrier_release_cluster(Mbarrier& barrier, uint32_t rank) {
  asm volatile(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.relaxed.cluster.shared::cluster.b64 _, [remote];\n"
      "}" ::"r"(shared_address(&barrier)),
      "r"(rank)
      : "memory");
}
/// Waits until the phase of this parity is over.
#ifdef WARPLOOP_TRAP
WARPLOOP_DEVICE void mbarrier_wait(Mbarrier& barrier, uint32_t parity, int line = __builtin_LINE()) {
  wait_or_trap(shared_address(&barrier), parity, line);
}
#else
WARPLOOP_DEVICE void mbarrier_wait(Mbarrier& barrier, uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra over;\n"
      "bra again;\n"
      "over:\n"
      "}" ::"r"(shared_address(&barrier)),
      "r"(parity)
      : "memory");
}
#endif

/// Orders this thread's plain accesses to shared memory before what the copy engine or wgmma does there later
/// (after a barrier, if another thread issues it).
WARPLOOP_DEVICE void fence_async_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

}  // namespace warploop::cuda
#endif
