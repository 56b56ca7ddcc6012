// device/warp.cuh and device/block.cuh.
#include "cuda/device/block.cuh"

#include "atom.h"

namespace warploop::atoms {
namespace {

using namespace cuda;

constexpr int kWarps = 3, kThreads = 32 * kWarps;

uint32_t value_of(size_t i) { return pick(static_cast<uint32_t>(i), 1000); }

// ------------------------------------------------------------------------------------------ indices

__global__ void indices(int* lanes, int* warps) {
  lanes[threadIdx.x] = lane_index();
  warps[threadIdx.x] = warp_index();
}
const Atom indices_atom("lane_index", 80, [](Run& run) {
  int *lanes = run.output<int>(kThreads), *warps = run.output<int>(kThreads);
  launch<indices>(run.context(), {dim3(1), kThreads}, lanes, warps);
  run.expect("lane_index", lanes, table(kThreads, [](size_t i) { return static_cast<int>(i % 32); }));
  run.expect("warp_index", warps, table(kThreads, [](size_t i) { return static_cast<int>(i / 32); }));
});

// ------------------------------------------------------------------------------------------ shuffles

struct Shuffles {
  uint32_t *from_lane, *xored, *up, *down, *some;
  double* wide;
};
__global__ void shuffles(const uint32_t* in, Shuffles out) {
  const int i = static_cast<int>(threadIdx.x), lane = lane_index();
  const uint32_t value = in[i];
  out.from_lane[i] = shuffle(value, 5 * lane + 3);
  out.xored[i] = shuffle_xor(value, 13);
  out.up[i] = shuffle_up(value, 3);
  out.down[i] = shuffle_down(value, 7);
  out.wide[i] = shuffle(value * 1e-3, lane / 2);
  const uint32_t mine = lane < 8 ? 0x000000ffu : 0xffffff00u;  // two groups of lanes, each on its own
  out.some[i] = shuffle(value, lane < 8 ? 7 - lane : 8, mine);
}
const Atom shuffle_atom("shuffle", 80, [](Run& run) {
  const auto in = table(kThreads, value_of);
  const auto make = [&] { return run.output<uint32_t>(kThreads); };
  const Shuffles out{make(), make(), make(), make(), make(), run.output<double>(kThreads)};
  launch<shuffles>(run.context(), {dim3(1), kThreads}, static_cast<const uint32_t*>(run.upload(in)), out);
  const auto want = [&](auto lane_read_by) {
    return table(kThreads, [&](size_t i) {
      return in[i / 32 * 32 + static_cast<size_t>(lane_read_by(static_cast<int>(i % 32)))];
    });
  };
  run.expect("shuffle", out.from_lane, want([](int lane) { return (5 * lane + 3) % 32; }));
  run.expect("shuffle_xor", out.xored, want([](int lane) { return lane ^ 13; }));
  run.expect("shuffle_up", out.up, want([](int lane) { return lane < 3 ? lane : lane - 3; }));
  run.expect("shuffle_down", out.down, want([](int lane) { return lane > 24 ? lane : lane + 7; }));
  run.expect("groups", out.some, want([](int lane) { return lane < 8 ? 7 - lane : 8; }));
  const auto wide = table(kThreads, [&](size_t i) { return in[i / 32 * 32 + i % 32 / 2] * 1e-3; });
  run.expect("8_bytes", out.wide, wide);
});

// ------------------------------------------------------------------------------------------ votes

struct Votes {
  uint32_t *ballot, *ballot_some, *any, *all, *match;
};
__global__ void votes(const uint32_t* in, Votes out) {
  const int i = static_cast<int>(threadIdx.x), warp = warp_index(), lane = lane_index();
  const uint32_t value = in[i];
  out.ballot[i] = ballot(value % 3 == 0);
  const uint32_t mine = lane % 2 ? 0xaaaaaaaau : 0x55555555u;
  out.ballot_some[i] = ballot(value % 3 == 0, mine);
  // warp 0: nobody; warp 1: one lane; warp 2: everybody
  const bool vote = warp == 2 || (warp == 1 && lane == 20);
  out.any[i] = any_lane(vote);
  out.all[i] = all_lanes(vote);
  out.match[i] = match_lanes(static_cast<int>(value % 5) - 2);
}
const Atom votes_atom("ballot", 80, [](Run& run) {
  const auto in = table(kThreads, value_of);
  const auto make = [&] { return run.output<uint32_t>(kThreads); };
  const Votes out{make(), make(), make(), make(), make()};
  launch<votes>(run.context(), {dim3(1), kThreads}, static_cast<const uint32_t*>(run.upload(in)), out);
  const auto lanes_where = [&](auto holds) {
    return table(kThreads, [&](size_t i) {
      uint32_t bits = 0;
      for (size_t lane = 0; lane < 32; lane++) bits |= uint32_t{holds(i, i / 32 * 32 + lane)} << lane;
      return bits;
    });
  };
  run.expect("ballot", out.ballot, lanes_where([&](size_t, size_t j) { return in[j] % 3 == 0; }));
  run.expect("groups", out.ballot_some,
             lanes_where([&](size_t i, size_t j) { return i % 2 == j % 2 && in[j] % 3 == 0; }));
  run.expect("any_lane", out.any, table(kThreads, [](size_t i) { return uint32_t{i >= 32}; }));
  run.expect("all_lanes", out.all, table(kThreads, [](size_t i) { return uint32_t{i >= 64}; }));
  run.expect("match_lanes", out.match,
             lanes_where([&](size_t i, size_t j) { return in[i] % 5 == in[j] % 5; }));
});

// ------------------------------------------------------------------------------------------ exchange through
// memory

struct ExchangePlan {
  uint32_t values[kThreads];
};
__global__ void exchange(const uint32_t* in, uint32_t* through_warp, uint32_t* through_block) {
  ExchangePlan& plan = shared_plan<ExchangePlan>();
  const unsigned i = threadIdx.x;
  plan.values[i] = in[i];
  sync_warp();
  through_warp[i] = plan.values[i ^ 31];
  sync_block();
  through_block[i] = plan.values[kThreads - 1 - i];
}
const Atom exchange_atom("sync_block", 80, [](Run& run) {
  const auto in = table(kThreads, value_of);
  uint32_t *warp = run.output<uint32_t>(kThreads), *block = run.output<uint32_t>(kThreads);
  launch<exchange>(run.context(), {dim3(1), kThreads, sizeof(ExchangePlan)},
                   static_cast<const uint32_t*>(run.upload(in)), warp, block);
  run.expect("sync_warp", warp, table(kThreads, [&](size_t i) { return in[i ^ 31]; }));
  run.expect("sync_block", block, table(kThreads, [&](size_t i) { return in[kThreads - 1 - i]; }));
});

/// Warp 0 writes for warps 1 and 2 and does not wait for them; then those two wait for each other.
__global__ void named_barriers(const uint32_t* in, uint32_t* out) {
  ExchangePlan& plan = shared_plan<ExchangePlan>();
  const int warp = warp_index();
  const unsigned i = threadIdx.x;
  if (warp == 0) {
    plan.values[i] = in[i];
    barrier_arrive<1>(kThreads);
    out[i] = 0;
  } else {
    barrier_sync<1>(kThreads);
    plan.values[i] = plan.values[i % 32] + static_cast<uint32_t>(warp);
    barrier_sync<15>(64);
    out[i] = plan.values[96 - i + 31];
  }
}
const Atom named_barriers_atom("barrier_sync", 80, [](Run& run) {
  const auto in = table(kThreads, value_of);
  uint32_t* out = run.output<uint32_t>(kThreads);
  launch<named_barriers>(run.context(), {dim3(1), kThreads, sizeof(ExchangePlan)},
                         static_cast<const uint32_t*>(run.upload(in)), out);
  run.expect("barrier_sync", out, table(kThreads, [&](size_t i) {
               const size_t j = 127 - i;
               return i < 32 ? 0u : in[j % 32] + static_cast<uint32_t>(j / 32);
             }));
});

// ------------------------------------------------------------------------------------------ reductions

struct ReductionPlan {
  BlockScratch<float> floats;
  BlockScratch<int> ints;
};
struct Reductions {
  float *warp_sum, *warp_max, *eight_max, *block_sum, *block_max;
  int *before, *block_int;
};
__global__ void reductions(const float* in, Reductions out) {
  ReductionPlan& plan = shared_plan<ReductionPlan>();
  const int i = static_cast<int>(threadIdx.x);
  const float value = in[i];
  out.warp_sum[i] = sum_lanes(value);
  out.warp_max[i] = max_lanes(value);
  out.eight_max[i] = max_lanes<8>(value);
  out.before[i] = sum_lanes_before(static_cast<int>(value));
  out.block_sum[i] = sum_block(value, plan.floats);
  out.block_max[i] = max_block(value, plan.floats);
  out.block_int[i] = sum_block(static_cast<int>(value), plan.ints);
}
const Atom reductions_atom("reduce_lanes", 80, [](Run& run) {
  // Whole numbers: their sums are exact in any order.
  const auto in = table(kThreads, [](size_t i) { return static_cast<float>(value_of(i)) - 500; });
  const auto make = [&] { return run.output<float>(kThreads); };
  const Reductions out{
      make(), make(), make(), make(), make(), run.output<int>(kThreads), run.output<int>(kThreads)};
  launch<reductions>(run.context(), {dim3(1), kThreads, sizeof(ReductionPlan)},
                     static_cast<const float*>(run.upload(in)), out);
  const auto over = [&](size_t width, float neutral, auto op) {
    return table(kThreads, [&](size_t i) {
      float result = neutral;
      for (size_t j = i / width * width; j < (i / width + 1) * width; j++) result = op(result, in[j]);
      return result;
    });
  };
  const auto sum = [](float a, float b) { return a + b; };
  const auto most = [](float a, float b) { return a > b ? a : b; };
  run.expect("sum_lanes", out.warp_sum, over(32, 0, sum));
  run.expect("max_lanes", out.warp_max, over(32, -1e9f, most));
  run.expect("max_lanes_8", out.eight_max, over(8, -1e9f, most));
  run.expect("sum_block", out.block_sum, over(kThreads, 0, sum));
  run.expect("max_block", out.block_max, over(kThreads, -1e9f, most));
  const auto whole = over(kThreads, 0, sum);
  run.expect("sum_block_int", out.block_int, std::vector<int>(whole.begin(), whole.end()));
  run.expect("sum_lanes_before", out.before, table(kThreads, [&](size_t i) {
               int before = 0;
               for (size_t j = i / 32 * 32; j < i; j++) before += static_cast<int>(in[j]);
               return before;
             }));
});

}  // namespace
}  // namespace warploop::atoms
