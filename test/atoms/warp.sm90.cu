// device/mbarrier.cuh, device/registers.cuh, device/store_matrix.cuh, and elect_one and bulk_load of
// device/tma.cuh.
#include "atom.h"
#include "cuda/device/block.cuh"
#include "cuda/device/registers.cuh"
#include "cuda/device/store_matrix.cuh"
#include "cuda/device/tma.cuh"

namespace warploop::atoms {
namespace {

using namespace cuda;

uint32_t value_of(size_t i) { return pick(static_cast<uint32_t>(i), 1u << 30); }

// ------------------------------------------------------------------------------------------ mbarrier

constexpr int kThreads = 96, kPhases = 5;

struct PhasesPlan {
  Mbarrier barrier;
  uint32_t values[2][kThreads];
};
/// Every thread reads what another has written before its arrival, phase after phase.
__global__ void phases(const uint32_t* in, uint32_t* out) {
  PhasesPlan& plan = shared_plan<PhasesPlan>();
  const unsigned i = threadIdx.x;
  if (i == 0) {
    mbarrier_init(plan.barrier, kThreads);
    fence_mbarrier_init();
  }
  sync_block();
  mbarrier_wait(plan.barrier, 1);  // the phase before the first one counts as over
  for (unsigned phase = 0; phase < kPhases; phase++) {
    plan.values[phase % 2][i] = in[phase * kThreads + i];
    mbarrier_arrive(plan.barrier);
    mbarrier_wait(plan.barrier, phase % 2);
    out[phase * kThreads + i] = plan.values[phase % 2][(i + 40) % kThreads];
  }
}
const Atom phases_atom("mbarrier_arrive", 90, [](Run& run) {
  const auto in = table(kPhases * kThreads, value_of);
  uint32_t* out = run.output<uint32_t>(in.size());
  launch<phases>(run.context(), {dim3(1), kThreads, sizeof(PhasesPlan)},
                 static_cast<const uint32_t*>(run.upload(in)), out);
  run.expect("phases", out, table(in.size(), [&](size_t i) {
               return in[i / kThreads * kThreads + (i + 40 - i / kThreads * kThreads) % kThreads];
             }));
});

// ------------------------------------------------------------------------------------------ bulk copies in a
// ring

constexpr int kStages = 2, kTiles = 7, kTileWords = 64;

struct RingPlan {
  alignas(16) uint32_t tiles[kStages][kTileWords];
  Mbarrier full[kStages], empty[kStages];
};
/// Warp 0 copies, warps 1 and 2 each take half of every tile. A phase of `full` has two copies.
__global__ void ring(const uint32_t* in, uint32_t* out) {
  RingPlan& plan = shared_plan<RingPlan>();
  const int warp = warp_index(), lane = lane_index();
  if (threadIdx.x == 0) {
    for (int s = 0; s < kStages; s++) {
      mbarrier_init(plan.full[s], 1);
      mbarrier_init(plan.empty[s], 2);
    }
    fence_mbarrier_init();
  }
  sync_block();
  if (warp == 0) {
    if (elect_one()) {
      for (int tile = 0; tile < kTiles; tile++) {
        const int s = tile % kStages;
        mbarrier_wait(plan.empty[s], static_cast<uint32_t>(tile / kStages % 2 ^ 1));
        mbarrier_expect_bytes(plan.full[s], kTileWords * 4);
        bulk_load(&plan.tiles[s][0], in + tile * kTileWords, 48, plan.full[s]);
        bulk_load(&plan.tiles[s][12], in + tile * kTileWords + 12, kTileWords * 4 - 48, plan.full[s]);
      }
    }
  } else {
    for (int tile = 0; tile < kTiles; tile++) {
      const int s = tile % kStages, at = (warp - 1) * 32 + lane;
      mbarrier_wait(plan.full[s], static_cast<uint32_t>(tile / kStages % 2));
      out[tile * kTileWords + at] = plan.tiles[s][at];
      sync_warp();
      if (lane == 0) mbarrier_arrive(plan.empty[s]);
    }
  }
}
const Atom ring_atom("bulk_load", 90, [](Run& run) {
  const auto in = table(kTiles * kTileWords, value_of);
  uint32_t* out = run.output<uint32_t>(in.size());
  launch<ring>(run.context(), {dim3(1), kThreads, sizeof(RingPlan)},
               static_cast<const uint32_t*>(run.upload(in)), out);
  run.expect("ring", out, in);
});

// ------------------------------------------------------------------------------------------ elect_one

__global__ void elect(uint32_t* elected, uint32_t* same) {
  const bool first = elect_one(), second = elect_one();
  elected[threadIdx.x] = ballot(first);
  same[threadIdx.x] = first == second;
}
const Atom elect_atom("elect_one", 90, [](Run& run) {
  uint32_t *elected = run.output<uint32_t>(64), *same = run.output<uint32_t>(64);
  launch<elect>(run.context(), {dim3(1), 64}, elected, same);
  auto masks = run.download(elected, 64);
  for (uint32_t& mask : masks) mask = mask != 0 && (mask & (mask - 1)) == 0;
  run.expect("one_lane", run.upload(masks), std::vector<uint32_t>(64, 1));
  run.expect("same_lane", same, std::vector<uint32_t>(64, 1));
});

// ------------------------------------------------------------------------------------------ registers

/// 384 threads start with 168 registers each.
__global__ void __launch_bounds__(384, 1) divide_registers(uint32_t* out) {
  if (threadIdx.x < 128) {
    set_registers_down<40>();
    out[threadIdx.x] = threadIdx.x;
  } else {
    set_registers_up<232>();
    out[threadIdx.x] = 3 * threadIdx.x;
  }
}
const Atom registers_atom("set_registers", 90, [](Run& run) {
  uint32_t* out = run.output<uint32_t>(384);
  launch<divide_registers>(run.context(), {dim3(1), 384}, out);
  run.expect("set_registers", out,
             table(384, [](size_t i) { return static_cast<uint32_t>(i < 128 ? i : 3 * i); }));
});

// ------------------------------------------------------------------------------------------ stmatrix

constexpr int kRow = 24;  // 16-bit elements from a row of 8 to the next
struct MatrixPlan {
  alignas(16) uint16_t values[32 * kRow];
};
__global__ void store_matrices(const uint32_t* in, uint16_t* out) {
  MatrixPlan& plan = shared_plan<MatrixPlan>();
  const int lane = lane_index();
  for (int i = lane; i < 32 * kRow; i += 32) plan.values[i] = 0;
  sync_warp();
  const uint32_t registers[4] = {in[4 * lane], in[4 * lane + 1], in[4 * lane + 2], in[4 * lane + 3]};
  store_matrix_x4(shared_address(&plan.values[(31 - lane) * kRow]), registers);
  sync_warp();
  for (int i = lane; i < 32 * kRow; i += 32) out[i] = plan.values[i];
}
const Atom store_matrix_atom("store_matrix_x4", 90, [](Run& run) {
  const auto in = table(128, [](size_t i) { return value_of(i); });
  uint16_t* out = run.output<uint16_t>(32 * kRow);
  launch<store_matrices>(run.context(), {dim3(1), 32, sizeof(MatrixPlan)},
                         static_cast<const uint32_t*>(run.upload(in)), out);
  // PTX ISA, stmatrix: thread 4 r + c / 2 holds elements (r, c), (r, c + 1) of a matrix.
  run.expect("store_matrix_x4", out, table(32 * kRow, [&](size_t at) {
               const size_t row = 31 - at / kRow, column = at % kRow;
               if (column >= 8) return uint16_t{0};
               const uint32_t pair = in[4 * (row % 8 * 4 + column / 2) + row / 8];
               return static_cast<uint16_t>(column % 2 ? pair >> 16 : pair);
             }));
});

}  // namespace
}  // namespace warploop::atoms
