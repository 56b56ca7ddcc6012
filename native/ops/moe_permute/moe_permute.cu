// What:      stable counting sort of the T*K (token, choice) pairs by expert
// Steps:     few pairs, one kernel: the row of a pair is the number of pairs before it, counted one by one
//            many: count_kernel:
//            1. pairs per expert in each run of the flat order
//            scan_kernel:
//            2. pairs of each expert before each run
//            place_kernel:
//            3. first row of each expert
//            4. place the pairs of a run, 32 at a time: those of one expert find each other by a match, and
//               the count of the run goes on behind them
// Mapping:   few: one block. Many: a warp owns a run of consecutive pairs, at least 256; in 2. a warp owns an
//            expert
// Resources: 32 KB shared (beyond 1024 experts the counts stay in global memory); workspace: 4 bytes per run
//            and expert
// Cost:      8 pairs: one launch, bound by its latency. 256 Ki pairs of 256 experts: 1 MB of pairs read
//            twice, 2 MB written, 1 MB of counts written, scanned and read; three launches
// Numerics:  integers; stable, so the result is unique
// Limits:    E <= 2^23
// Source:    MegaBlocks, arXiv 2211.15841; Knuth, The Art of Computer Programming volume 3, 5.2, algorithm D
#include "ops/moe_permute/moe_permute.h"

#include <algorithm>
#include <bit>

#include "core/error.h"
#include "cuda/device/fault.cuh"
#include "cuda/device/scan.cuh"
#include "cuda/launch.h"
#include "cuda/moe/few_pairs.cuh"
#include "cuda/workspace.h"

namespace warploop::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kSharedExperts = 1024;
constexpr int kMostRuns = 1024;
constexpr int kShortestRun = 256;

struct PermuteArguments {
  const int32_t* experts;
  int32_t* order;
  int32_t* inverse;
  int32_t* offsets;
  int64_t pairs, K;
  int32_t E;
  int32_t runs;  // of `run_length` pairs each, a multiple of 32
  int64_t run_length;
  int32_t* counts;  // [E, runs]: pairs of an expert in a run, then those before the run
  int32_t* totals;  // [E]
  FaultSite fault;

  /// The expert of a pair; kNoExpert beyond the last pair and, reported, outside [0, E).
  WARPLOOP_DEVICE int32_t expert_of(int64_t pair, bool report) const {
    if (pair >= pairs) return kNoExpert;
    const int32_t e = experts[pair];
    if (e >= 0 && e < E) return e;
    if (report) raise_fault(fault, e, E, pair / K, pair % K);
    return kNoExpert;
  }
};

__global__ void __launch_bounds__(kFewPairs) permute_few_kernel(const __grid_constant__ PermuteArguments p) {
  wait_for_predecessors();
  FewPlan& plan = shared_plan<FewPlan>();
  const int pair = static_cast<int>(threadIdx.x), pairs = static_cast<int>(p.pairs);
  plan.experts[pair] = p.expert_of(pair, true);
  place_few(plan, pairs, p.E, p.order, p.inverse, p.offsets);
}

struct CountsPlan {
  int32_t counts[kWarps][kSharedExperts];
};

/// The count of an expert in the run of a warp: in shared memory if all experts fit.
template <bool kShared>
struct RunCounts {
  const PermuteArguments& p;
  int run;

  WARPLOOP_DEVICE int32_t& global(int32_t e) const {
    return p.counts[static_cast<int64_t>(e) * p.runs + run];
  }
  WARPLOOP_DEVICE int32_t& operator[](int32_t e) const {
    if constexpr (kShared) {
      return shared_plan<CountsPlan>().counts[run % kWarps][e];
    } else {
      return global(e);
    }
  }
};

template <bool kShared>
__global__ void __launch_bounds__(kThreads, 4) count_kernel(const __grid_constant__ PermuteArguments p) {
  wait_for_predecessors();
  const int run = static_cast<int>(blockIdx.x) * kWarps + warp_index(), lane = lane_index();
  if (run >= p.runs) return;
  const RunCounts<kShared> counts{p, run};
  for (int32_t e = lane; e < p.E; e += kWarpSize) counts[e] = 0;
  sync_warp();
  for (int64_t i = 0; i < p.run_length; i += kWarpSize) {  // 1.
    const int32_t e = p.expert_of(run * p.run_length + i + lane, true);
    if (e != kNoExpert) atomic_add(&counts[e], 1);
  }
  sync_warp();
  if constexpr (kShared) {
    for (int32_t e = lane; e < p.E; e += kWarpSize) counts.global(e) = counts[e];
  }
}

__global__ void __launch_bounds__(kThreads, 4) scan_kernel(const __grid_constant__ PermuteArguments p) {
  wait_for_predecessors();
  constexpr int kTogether = 8;  // loads under way
  const int32_t e = static_cast<int32_t>(blockIdx.x) * kWarps + warp_index();
  if (e >= p.E) return;
  int32_t* counts = p.counts + static_cast<int64_t>(e) * p.runs;
  int32_t before = 0;
  for (int begin = lane_index(); begin - lane_index() < p.runs; begin += kTogether * kWarpSize) {  // 2.
    int32_t own[kTogether];
#pragma unroll
    for (int i = 0; i < kTogether; i++)
      own[i] = begin + i * kWarpSize < p.runs ? counts[begin + i * kWarpSize] : 0;
#pragma unroll
    for (int i = 0; i < kTogether; i++) {
      const int32_t lanes_before = sum_lanes_before(own[i]);
      if (begin + i * kWarpSize < p.runs) counts[begin + i * kWarpSize] = before + lanes_before;
      before += shuffle(lanes_before + own[i], kWarpSize - 1);
    }
  }
  if (lane_index() == 0) p.totals[e] = before;
}

struct PlacePlan {
  CountsPlan counts;  // first: RunCounts looks for it there
  BlockScratch<int32_t> scratch;
};

template <bool kShared>
__global__ void __launch_bounds__(kThreads, 4) place_kernel(const __grid_constant__ PermuteArguments p) {
  wait_for_predecessors();
  PlacePlan& plan = shared_plan<PlacePlan>();
  const int first_run = static_cast<int>(blockIdx.x) * kWarps;
  int32_t before = 0;
  for (int32_t begin = 0; begin < p.E;
       begin += kThreads) {  // 3. every block finds the first rows for its own runs
    const int32_t e = begin + static_cast<int32_t>(threadIdx.x);
    int32_t total = 0;
    const int32_t first_row = before + sum_threads_before(e < p.E ? p.totals[e] : 0, plan.scratch, total);
    before += total;
    if (e >= p.E) continue;
    if (blockIdx.x == 0) p.offsets[e] = first_row;
    for (int run = first_run; run < first_run + kWarps && run < p.runs; run++) {
      const RunCounts<kShared> counts{p, run};
      counts[e] = first_row + counts.global(e);
    }
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) p.offsets[p.E] = before;
  sync_block();

  const int run = first_run + warp_index(), lane = lane_index();
  if (run >= p.runs) return;
  const RunCounts<kShared> next{p, run};                   // free row of each expert
  for (int64_t i = 0; i < p.run_length; i += kWarpSize) {  // 4.
    const int64_t pair = run * p.run_length + i + lane;
    const int32_t e = p.expert_of(pair, false);
    const uint32_t same = match_lanes(e), before_me = same & ((1u << lane) - 1);
    int32_t row = 0;
    if (e != kNoExpert) row = next[e] + std::popcount(before_me);
    sync_warp();
    if (e != kNoExpert) {
      if (before_me == 0) next[e] = row + std::popcount(same);
      p.order[row] = static_cast<int32_t>(pair);
      p.inverse[pair] = row;
    }
    sync_warp();
  }
}

template <bool kShared>
void permute_many(const CudaContext& context, const PermuteArguments& p) {
  const auto grid_of = [](int64_t warps) {
    return dim3(static_cast<unsigned>((warps + kWarps - 1) / kWarps));
  };
  launch<count_kernel<kShared>>(
      context, {.grid = grid_of(p.runs), .threads = kThreads, .shared_bytes = sizeof(CountsPlan)}, p);
  launch<scan_kernel>(context, {.grid = grid_of(p.E), .threads = kThreads}, p);
  launch<place_kernel<kShared>>(
      context, {.grid = grid_of(p.runs), .threads = kThreads, .shared_bytes = sizeof(PlacePlan)}, p);
}

}  // namespace

void moe_permute(const MoePermuteParams& p, CudaContext& context) {
  const int64_t pairs = p.experts.numel(), E = p.offsets.size(0) - 1;
  PermuteArguments arguments{
      .experts = p.experts.as<int32_t>(),
      .order = p.order.as<int32_t>(),
      .inverse = p.inverse.as<int32_t>(),
      .offsets = p.offsets.as<int32_t>(),
      .pairs = pairs,
      .K = p.experts.size(1),
      .E = static_cast<int32_t>(E),
      .runs = 0,
      .run_length = 0,
      .counts = nullptr,
      .totals = nullptr,
      .fault = context.fault_site(OpId::moe_permute,
                                  "experts[{index}, {column}] = {value} is outside [0, E={limit})")};
  if (pairs <= kFewPairs) {
    const int64_t wanted = std::max(pairs, std::min<int64_t>(E + 1, kFewPairs));
    const int threads = static_cast<int>((wanted + kWarpSize - 1) / kWarpSize * kWarpSize);
    return launch<permute_few_kernel>(
        context, {.grid = dim3(1), .threads = threads, .shared_bytes = sizeof(FewPlan)}, arguments);
  }
  Workspace workspace(context);
  arguments.totals = workspace.take<int32_t>(E);
  const int64_t fitting = workspace.left() / static_cast<int64_t>(sizeof(int32_t)) / E;
  if (fitting == 0) fail_execution("a run of ", E, " experts does not fit into the workspace");
  const int64_t most_runs = std::min<int64_t>(kMostRuns, fitting);
  const int64_t shortest = (pairs + most_runs - 1) / most_runs;
  arguments.run_length = std::max<int64_t>((shortest + kWarpSize - 1) / kWarpSize * kWarpSize, kShortestRun);
  arguments.runs = static_cast<int32_t>((pairs + arguments.run_length - 1) / arguments.run_length);
  arguments.counts = workspace.take<int32_t>(E * arguments.runs);
  if (E <= kSharedExperts) return permute_many<true>(context, arguments);
  permute_many<false>(context, arguments);
}

}  // namespace warploop::cuda
