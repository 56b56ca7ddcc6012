// What:      per token: score = softmax(logits) or sigmoid(logits); the K best of score + bias, and their
//            scores as weights
// Steps:     1. scores of all experts
//            2. choice = score + bias, as ordered integers in registers
//            3. best groups
//            4. best K experts: K times the largest over the warp
//            5. weights
//            6. if asked for, the pairs grouped by expert: few of them by the block that comes last, many by
//               the kernels of moe_permute
// Mapping:   one warp per token; lane l holds the experts l, l + 32, ...; four warps per block, one beyond
//            512 experts
// Resources: shared memory (8 bytes per expert and warp) with groups only
// Cost:      K (E / 32 + 10 shuffles) steps per warp: bound by latency
// Numerics:  f32; the order of the sums depends on E only. Equal logits have equal scores and ties go to the
//            lower index. A NaN choice counts as -inf; the weights of a row with NaN are NaN. K scores that
//            sum to 0 renormalise to 0.
// Limits:    beyond 512 experts a lane keeps its share in local memory: right, but not fast
// Source:    DeepSeek-V3 Technical Report, arXiv 2412.19437, equations 12 to 16; Mixtral of Experts,
//            arXiv 2401.04088
#include "ops/moe_route/moe_route.h"

#include "core/error.h"
#include "cuda/device/last_block.cuh"
#include "cuda/device/rows.cuh"
#include "cuda/device/warp.cuh"
#include "cuda/launch.h"
#include "cuda/logits/logit_order.cuh"
#include "cuda/moe/few_pairs.cuh"
#include "ops/moe_permute/moe_permute.h"

namespace warploop::cuda {

[[gnu::weak]] void moe_permute(const MoePermuteParams& p, CudaContext& context);

namespace {

struct PermutePlan {
  FewPlan few;
  bool is_last;
};

template <int kPerLane>
struct RouteTraits {
  static constexpr int kExperts = kPerLane * kWarpSize;
  static constexpr int kWarps = kPerLane > 16 ? 1 : 4;
  static constexpr int kThreads = kWarps * kWarpSize;

  struct Warp {
    float choices[kExperts];
    uint32_t is_open[kExperts];  // of the groups
  };
  struct Plan {
    PermutePlan permute;
    Warp warps[kWarps];  // with groups
  };
};

struct RouteArguments {
  MoeRouteParams params;
  Rows logits;
  uint32_t* arrivals;  // blocks that have routed their tokens; null: no permutation here
};

/// What turns a logit into a score: 1 / (1 + e^-l), or e^(l - highest) / total.
struct ScoreFunction {
  bool is_softmax;
  float highest, total;
  WARPLOOP_DEVICE float operator()(float logit) const {
    return is_softmax ? expf(logit - highest) / total : 1.0f / (1.0f + expf(-logit));
  }
};

/// The lane with the largest key of all experts: the key's expert, the lowest of equal ones. Removes it.
template <int kPerLane>
WARPLOOP_DEVICE uint32_t take_best(uint32_t (&keys)[kPerLane]) {
  uint32_t best = 0, at = 0;
#pragma unroll 16
  for (int j = 0; j < kPerLane; j++) {
    if (keys[j] > best) best = keys[j], at = j;
  }
  const uint32_t lane = lane_index(), id = at * kWarpSize + lane;
  const uint32_t winner =
      id_of_rank(max_lanes(static_cast<uint64_t>(best) << 32 | static_cast<uint32_t>(~id)));
#pragma unroll 16
  for (int j = 0; j < kPerLane; j++) {
    if (winner == j * kWarpSize + lane) keys[j] = 0;
  }
  return winner;
}

WARPLOOP_DEVICE float load_logit(const Rows& logits, int64_t offset) {
  if (logits.dtype == DType::f32) return reinterpret_cast<const float*>(logits.data)[offset];
  const uint32_t bits = reinterpret_cast<const uint16_t*>(logits.data)[offset];
  return logits.dtype == DType::bf16 ? low_of<bf16>(bits) : low_of<f16>(bits);
}

/// 3. Sets the keys of the experts outside the best groups to 0. A group's score is its best choice, or the
/// sum of its two best if it has two. The keys wait in shared memory: registers hold one array at a time.
template <int kPerLane>
WARPLOOP_DEVICE void close_groups(const RouteArguments& p, uint32_t (&keys)[kPerLane],
                                  typename RouteTraits<kPerLane>::Warp& shared) {
  const int groups = p.params.groups, size = static_cast<int>(p.params.logits.size(1)) / groups,
            lane = lane_index();
  const bool takes_two = size > 1 && p.params.group_best > 1;
#pragma unroll 16
  for (int j = 0; j < kPerLane; j++) shared.choices[j * kWarpSize + lane] = value_of_key(keys[j]);
  sync_warp();
  uint32_t group_keys[kPerLane];
#pragma unroll 16
  for (int j = 0; j < kPerLane; j++) {
    const int group = j * kWarpSize + lane;
    float best = -INFINITY, second = -INFINITY;
    for (int i = 0; group < groups && i < size; i++) {
      const float choice = shared.choices[group * size + i];
      second = fmaxf(second, fminf(best, choice));
      best = fmaxf(best, choice);
    }
    group_keys[j] = group < groups ? order_key(comparable(takes_two ? best + second : best)) : 0;
    shared.is_open[group] = 0;
  }
  sync_warp();
  for (int i = 0; i < p.params.top_groups; i++) {
    const uint32_t group = take_best(group_keys);
    if (group % kWarpSize == static_cast<uint32_t>(lane)) shared.is_open[group] = 1;
  }
  sync_warp();
#pragma unroll 16
  for (int j = 0; j < kPerLane; j++) {
    const int e = j * kWarpSize + lane;
    keys[j] = e < groups * size && shared.is_open[e / size] ? order_key(shared.choices[e]) : 0;
  }
}

/// Token t, by a warp.
template <int kPerLane>
WARPLOOP_DEVICE void route_token(const RouteArguments& p, int64_t t) {
  using Traits = RouteTraits<kPerLane>;
  const int lane = lane_index(), warp = warp_index();
  const int E = static_cast<int>(p.params.logits.size(1)), K = static_cast<int>(p.params.experts.size(1));
  const int64_t row = t * p.params.logits.stride(0);

  float logits[kPerLane];  // 1. -inf beyond E
#pragma unroll 16
  for (int j = 0; j < kPerLane; j++) {
    const int e = j * kWarpSize + lane;
    logits[j] = e < E ? load_logit(p.logits, row + e) : -INFINITY;
  }
  ScoreFunction score{p.params.scores == MoeScores::softmax, -INFINITY, 0};
  if (score.is_softmax) {
    float highest = -INFINITY;
#pragma unroll 16
    for (int j = 0; j < kPerLane; j++) highest = fmaxf(highest, logits[j]);
    score.highest = max_lanes(highest);
    float total = 0;
#pragma unroll 16
    for (int j = 0; j < kPerLane; j++) total += expf(logits[j] - score.highest);
    score.total = sum_lanes(total);
  }
  uint32_t keys[kPerLane];  // 2. 0: not to be chosen
  const float* bias = p.params.bias.as<float>();
#pragma unroll 16
  for (int j = 0; j < kPerLane; j++) {
    const int e = j * kWarpSize + lane;
    const float choice = score(logits[j]) + (bias && e < E ? bias[e] : 0.0f);
    keys[j] = e < E ? order_key(choice == choice ? choice + 0.0f : -INFINITY) : 0;
  }
  if (p.params.groups > 1) close_groups(p, keys, shared_plan<typename Traits::Plan>().warps[warp]);

  float* weights = p.params.weights.as<float>() + t * K;
  int32_t* experts = p.params.experts.as<int32_t>() + t * K;
  float sum = 0, last = 0;       // of all, in every lane; the last one of this lane
  for (int k = 0; k < K; k++) {  // 4.
    const uint32_t expert = take_best(keys);
    const float chosen = score(load_logit(p.logits, row + expert));
    sum += chosen;
    if (k % kWarpSize != lane) continue;
    experts[k] = static_cast<int32_t>(expert);
    weights[k] = last = chosen;
  }
  for (int k = lane; k < K; k += kWarpSize) {  // 5. a lane reads only what it has written
    const float chosen = K <= kWarpSize ? last : weights[k];
    weights[k] = (p.params.renormalize && sum != 0 ? chosen / sum : chosen) * p.params.scale;
  }
}

// 6.
WARPLOOP_DEVICE void permute(const RouteArguments& p) {
  PermutePlan& plan = shared_plan<PermutePlan>();
  if (!arrive_last(*p.arrivals, gridDim.x, plan.is_last)) return;
  const int pairs = static_cast<int>(p.params.experts.numel());
  for (int pair = static_cast<int>(threadIdx.x); pair < pairs; pair += static_cast<int>(blockDim.x))
    plan.few.experts[pair] = p.params.experts.as<int32_t>()[pair];
  place_few(plan.few, pairs, static_cast<int32_t>(p.params.logits.size(1)), p.params.order.as<int32_t>(),
            p.params.inverse.as<int32_t>(), p.params.offsets.as<int32_t>());
}

template <int kPerLane>
__global__ void __launch_bounds__(RouteTraits<kPerLane>::kThreads, 1)
    moe_route_kernel(const __grid_constant__ RouteArguments p) {
  wait_for_predecessors();
  const int64_t t = static_cast<int64_t>(blockIdx.x) * RouteTraits<kPerLane>::kWarps + warp_index();
  if (t < p.params.logits.size(0)) route_token<kPerLane>(p, t);
  if (p.arrivals) permute(p);
}

template <int kPerLane>
void run(const MoeRouteParams& p, CudaContext& context) {
  using Traits = RouteTraits<kPerLane>;
  const int64_t blocks = (p.logits.size(0) + Traits::kWarps - 1) / Traits::kWarps;
  const bool permutes = p.order && blocks > 0 && p.experts.numel() <= kFewPairs;
  launch<moe_route_kernel<kPerLane>>(
      context,
      {.grid = dim3(static_cast<unsigned>(blocks)),
       .threads = Traits::kThreads,
       .shared_bytes = p.groups > 1 ? sizeof(typename Traits::Plan)
                       : permutes   ? sizeof(PermutePlan)
                                    : 0},
      RouteArguments{p, rows_of(p.logits), permutes ? context.counters : nullptr});
  if (!p.order || permutes) return;
  if (!moe_permute)
    fail_execution("a permutation needs the kernels of moePermute, which are not in this build");
  moe_permute({p.experts, p.order, p.inverse, p.offsets}, context);
}

}  // namespace

void moe_route(const MoeRouteParams& p, CudaContext& context) {
  const int64_t E = p.logits.size(1);
  static_assert(RouteTraits<128>::kExperts == kMaxExperts);
  if (E <= RouteTraits<2>::kExperts) return run<2>(p, context);
  if (E <= RouteTraits<4>::kExperts) return run<4>(p, context);
  if (E <= RouteTraits<8>::kExperts) return run<8>(p, context);
  if (E <= RouteTraits<16>::kExperts) return run<16>(p, context);
  run<128>(p, context);
}

}  // namespace warploop::cuda
