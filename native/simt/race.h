// What the race checker needs to know besides the plain accesses of kernels: the accesses of emulated
// instructions, and what orders accesses. Without WARPLOOP_SIMT_RACE nothing of it exists in the compiled
// program.
#pragma once
#include <cstddef>

#include "simt/model.h"
#ifdef WARPLOOP_SIMT_RACE
#include "simt/race_clock.h"
#endif

namespace warploop::simt::race {

/// Of an atomic: what it orders besides itself.
enum class Order { relaxed, acquire, release, both };

#ifdef WARPLOOP_SIMT_RACE
/// An asynchronous operation: who it is, and what came before its issue.
using Moment = View;
#define WARPLOOP_RACE_EVENT(signature) void signature;
#define WARPLOOP_RACE_MOMENT(signature) Moment signature;
#else
struct Moment {};
#define WARPLOOP_RACE_EVENT(signature) \
  inline void signature {}
#define WARPLOOP_RACE_MOMENT(signature) \
  inline Moment signature { return {}; }
#endif

WARPLOOP_RACE_EVENT(launch_started())
WARPLOOP_RACE_EVENT(block_started([[maybe_unused]] Block& block))
WARPLOOP_RACE_EVENT(block_ended([[maybe_unused]] Block& block))
/// An emulated instruction of `thread` reads or writes memory.
WARPLOOP_RACE_EVENT(read([[maybe_unused]] Thread& thread, [[maybe_unused]] const void* p,
                         [[maybe_unused]] size_t bytes, [[maybe_unused]] Site site))
WARPLOOP_RACE_EVENT(write([[maybe_unused]] Thread& thread, [[maybe_unused]] void* p,
                          [[maybe_unused]] size_t bytes, [[maybe_unused]] Site site))
/// sync_warp: all `lanes` are ordered with each other.
WARPLOOP_RACE_EVENT(warp_synchronized([[maybe_unused]] Warp& warp, [[maybe_unused]] uint32_t lanes))
/// Every lane of `warp` has arrived at, leaves, a barrier of its block.
WARPLOOP_RACE_EVENT(barrier_arrived([[maybe_unused]] Barrier& barrier, [[maybe_unused]] Warp& warp))
WARPLOOP_RACE_EVENT(barrier_left([[maybe_unused]] Barrier& barrier, [[maybe_unused]] Warp& warp))
/// Between these two the target belongs to the copy; `copy_waited` is its write, as seen by `thread` only.
WARPLOOP_RACE_EVENT(copy_issued([[maybe_unused]] Thread& thread, [[maybe_unused]] const AsyncCopy& copy))
WARPLOOP_RACE_EVENT(copy_waited([[maybe_unused]] Thread& thread, [[maybe_unused]] const AsyncCopy& copy))
/// What came before release(object) in a phase of the object that is over comes before what another does
/// after its acquire(object). `forget`: it starts anew.
WARPLOOP_RACE_EVENT(release([[maybe_unused]] Thread& thread, [[maybe_unused]] const void* object))
WARPLOOP_RACE_EVENT(phase_over([[maybe_unused]] Block& block, [[maybe_unused]] const void* object))
WARPLOOP_RACE_EVENT(acquire([[maybe_unused]] Thread& thread, [[maybe_unused]] const void* object))
WARPLOOP_RACE_EVENT(forget([[maybe_unused]] Block& block, [[maybe_unused]] const void* object))
/// mbarrier_wait: `over`: the phase is over already. The thread goes on. The lanes of a warp operation are
/// there.
WARPLOOP_RACE_EVENT(wait_begun([[maybe_unused]] Thread& thread, [[maybe_unused]] const void* object,
                               [[maybe_unused]] bool over, [[maybe_unused]] Site site))
WARPLOOP_RACE_EVENT(wait_ended([[maybe_unused]] Thread& thread))
WARPLOOP_RACE_EVENT(lanes_met([[maybe_unused]] Warp& warp, [[maybe_unused]] uint32_t lanes))
/// fence_device, and atomics of device scope: what orders the blocks of a launch.
WARPLOOP_RACE_EVENT(device_fence([[maybe_unused]] Thread& thread))
WARPLOOP_RACE_EVENT(device_atomic([[maybe_unused]] Thread& thread, [[maybe_unused]] const void* p,
                                  [[maybe_unused]] Order order))

// Operations of the copy engine and the tensor cores. Each sees what came before its issue; a thread knows of
// its accesses after the wait for it. Plain writes are visible to it only behind a proxy fence.

WARPLOOP_RACE_EVENT(proxy_fence([[maybe_unused]] Thread& thread))
/// A load that counts its bytes at `barrier` in the shared memory of `target`.
WARPLOOP_RACE_MOMENT(load_issued([[maybe_unused]] Block& target, [[maybe_unused]] const void* barrier))
WARPLOOP_RACE_EVENT(load_landed([[maybe_unused]] const Moment& load, [[maybe_unused]] Block& target,
                                [[maybe_unused]] const void* barrier, [[maybe_unused]] void* p,
                                [[maybe_unused]] size_t bytes, [[maybe_unused]] Site site))
WARPLOOP_RACE_MOMENT(store_issued([[maybe_unused]] Thread& thread))
WARPLOOP_RACE_EVENT(store_waited([[maybe_unused]] Thread& thread, [[maybe_unused]] const Moment& store))
WARPLOOP_RACE_MOMENT(product_issued([[maybe_unused]] Warp& warp))
WARPLOOP_RACE_EVENT(product_waited([[maybe_unused]] Warp& warp, [[maybe_unused]] const Moment& product))
/// A store or a product reads shared memory of `block`.
WARPLOOP_RACE_EVENT(async_read([[maybe_unused]] const Moment& moment, [[maybe_unused]] Block& block,
                               [[maybe_unused]] const void* p, [[maybe_unused]] size_t bytes,
                               [[maybe_unused]] Site site))
/// A load or a store accesses global memory.
WARPLOOP_RACE_EVENT(async_global([[maybe_unused]] const Moment& moment, [[maybe_unused]] Block& block,
                                 [[maybe_unused]] void* p, [[maybe_unused]] size_t bytes,
                                 [[maybe_unused]] bool writes, [[maybe_unused]] Site site))

#undef WARPLOOP_RACE_EVENT
#undef WARPLOOP_RACE_MOMENT

}  // namespace warploop::simt::race
