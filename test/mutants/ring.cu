// A ring of stages that a bulk copy fills and the warps of a block empty: every lane waits for a stage, one lane of a warp
// gives it back. What is between the two decides whether a slow lane may miss that the stage has been there.
#include "cuda/device/block.cuh"
#include "cuda/device/mbarrier.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/launch.h"
#include "program.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

constexpr int kConsumerWarps = 2, kThreads = 32 * (1 + kConsumerWarps), kStages = 2, kPieces = 40,
              kPiece = 32;

struct Plan {
  alignas(128) float stages[kStages][kPiece];
  Mbarrier full[kStages], empty[kStages];
};

__global__ void __launch_bounds__(kThreads) sum_ring(const float* values, float* sums) {
  auto& plan = shared_plan<Plan>();
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(plan.full[i], 1);
      mbarrier_init(plan.empty[i], kConsumerWarps);
    }
    fence_mbarrier_init();
  }
  sync_block();
  const int lane = lane_index();
  if (warp_index() == 0) {
    if (lane != 0) return;
    for (int i = 0; i < kPieces; i++) {
      const int stage = i % kStages;
      const auto parity = static_cast<uint32_t>(i / kStages & 1);
      mbarrier_wait(plan.empty[stage], parity ^ 1u);
      mbarrier_expect_bytes(plan.full[stage], sizeof plan.stages[0]);
      bulk_load(plan.stages[stage], values + i * kPiece, sizeof plan.stages[0], plan.full[stage]);
    }
    return;
  }
  float sum = 0;
  for (int i = 0; i < kPieces; i++) {
    const int stage = i % kStages;
    mbarrier_wait(plan.full[stage], static_cast<uint32_t>(i / kStages & 1));
    if (lane == 0) {
      for (int j = 0; j < kPiece; j++) sum += plan.stages[stage][j];
    }
    sync_warp();  // a lane that still waits must not see the stage come round again
    if (lane == 0) mbarrier_arrive(plan.empty[stage]);
  }
  sums[threadIdx.x - 32] = shuffle(sum, 0);
}

void run_ring(Run& run) {
  const auto values =
      table(kPieces * kPiece, [](size_t i) { return static_cast<float>(small_integer(i, 1)); });
  float sum = 0;
  for (const float value : values) sum += value;
  float* out = run.output<float>(32 * kConsumerWarps);
  launch<sum_ring>(run.context(), {dim3(1), kThreads, sizeof(Plan)},
                   static_cast<const float*>(run.upload(values)), out);
  run.expect("sums", out, std::vector<float>(32 * kConsumerWarps, sum));
}
const atoms::Atom ring("ring", 90, run_ring);

}  // namespace
}  // namespace warploop::mutants
