// A barrier that never completes: what is said of it (native/cuda/stuck_barrier.h, native/simt/diagnostics.cc).
#include "atom.h"
#include "cuda/device/block.cuh"
#include "cuda/device/mbarrier.cuh"

namespace warploop::atoms {
namespace {

using namespace cuda;

struct StuckPlan {
  alignas(16) unsigned char front[256];  // the barrier has a place of its own
  Mbarrier full;
};

/// Of two arrivals the last block makes one.
__global__ void __launch_bounds__(64) stuck_barrier_kernel(int blocks) {
  auto& plan = shared_plan<StuckPlan>();
  if (threadIdx.x == 0) {
    mbarrier_init(plan.full, 2);
    fence_mbarrier_init();
  }
  sync_block();
  const int arrivals = static_cast<int>(blockIdx.x) == blocks - 1 ? 1 : 2;
  if (threadIdx.x == 0) {
    for (int i = 0; i < arrivals; i++) mbarrier_arrive(plan.full);
  }
  if (threadIdx.x >= 32) mbarrier_wait(plan.full, 0);
}

const StuckAtom stuck([](const CudaContext& context) {
  const LaunchShape shape{.grid = dim3(2), .threads = 64, .shared_bytes = sizeof(StuckPlan)};
  launch<stuck_barrier_kernel>(context, shape, 2);
});

}  // namespace
}  // namespace warploop::atoms
