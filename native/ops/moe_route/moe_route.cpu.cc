// What:      per token: score = softmax(logits) or sigmoid(logits); the K best of score + bias, and their
//            scores as weights
// Steps:     1. scores of all experts
//            2. choice = score + bias
//            3. best groups
//            4. best K experts
//            5. weights
//            6. if asked for, the pairs grouped by expert: moe_permute
// Mapping:   rows are dealt to threads; a row (E floats, padded to whole vectors) stays in L1
// Numerics:  f32. The padded row has no tail loop, so equal logits have equal scores and ties go to the lower
//            index. A NaN choice counts as -inf; the weights of a row with NaN are NaN. K scores that sum to
//            0 renormalise to 0.
// Source:    DeepSeek-V3 Technical Report, arXiv 2412.19437, equations 12 to 16; Mixtral of Experts,
//            arXiv 2401.04088
#include "ops/moe_route/moe_route.h"

#include "cpu/rows.h"
#include "cpu/simd.h"
#include "cpu/top_list.h"
#include "ops/moe_permute/moe_permute.h"

namespace warploop::cpu::WARPLOOP_ISA {

void moe_permute(const MoePermuteParams& p, CpuContext& context);

namespace {

/// A thread's working set: E padded to whole vectors, at most kMaxExperts of each.
struct RouteRow {
  alignas(64) float score[kMaxExperts];
  float choice[kMaxExperts];
  float top_values[kMaxExperts];
  float group_values[kMaxExperts];
  int32_t group_ids[kMaxExperts];
  bool open[kMaxExperts];
};
static_assert(sizeof(RouteRow) <= kWorkspaceBytes && kMaxExperts % kLanes == 0);

/// The logits as f32, padded with -inf: from here on there is no tail.
template <class X>
void widen(const X* logits, float* score, int64_t E) {
  for_lanes(E, [&](int64_t e, int n) { store(score + e, load_some(logits + e, n, -kInf)); });
}

void softmax(float* score, int64_t E) {
  vf top = splat(-kInf), sum{};
  for (int64_t e = 0; e < E; e += kLanes) top = max(top, load(score + e));
  const float highest = reduce_max(top);
  for (int64_t e = 0; e < E; e += kLanes) {
    const vf v = exp(load(score + e) - highest);
    sum += v;
    store(score + e, v);
  }
  const float total = reduce_add(sum);
  for (int64_t e = 0; e < E; e += kLanes) store(score + e, load(score + e) / total);
}

void sigmoids(float* score, int64_t E) {
  for (int64_t e = 0; e < E; e += kLanes) store(score + e, sigmoid(load(score + e)));
}

/// Marks the groups whose `of_group` best choices (one, in groups of one) have the largest sums.
void open_groups(RouteRow& row, int64_t groups, int64_t top_groups, int64_t size, int64_t of_group) {
  TopList best(row.group_values, row.group_ids, top_groups);
  for (int64_t g = 0; g < groups; g++) {
    float pair[2];
    int32_t ids[2];
    TopList two(pair, ids, std::min(size, of_group));
    for (int64_t e = g * size; e < (g + 1) * size; e++) two.offer(row.choice[e], static_cast<int32_t>(e));
    best.offer(two.size() == 2 ? pair[0] + pair[1] : pair[0], static_cast<int32_t>(g));
    row.open[g] = false;
  }
  for (int64_t i = 0; i < top_groups; i++) row.open[row.group_ids[i]] = true;
}

void route_row(const MoeRouteParams& p, RouteRow& row, float* weights, int32_t* experts) {
  const int64_t E = p.logits.size(1), K = p.experts.size(1), size = E / p.groups;
  const float* bias = p.bias.as<float>();
  for (int64_t e = 0; e < E; e++) {  // 2.
    const float choice = bias ? row.score[e] + bias[e] : row.score[e];
    row.choice[e] = choice == choice ? choice : -kInf;
  }
  if (p.groups > 1) open_groups(row, p.groups, p.top_groups, size, p.group_best);  // 3.

  TopList best(row.top_values, experts, K);
  for (int64_t g = 0; g < p.groups; g++) {  // 4.
    if (p.groups > 1 && !row.open[g]) continue;
    for (int64_t e = g * size; e < (g + 1) * size; e++) best.offer(row.choice[e], static_cast<int32_t>(e));
  }

  float sum = 0;
  for (int64_t k = 0; k < K; k++) sum += row.score[experts[k]];
  for (int64_t k = 0; k < K; k++) {  // 5.
    const float score = row.score[experts[k]];
    weights[k] = (p.renormalize && sum != 0 ? score / sum : score) * p.scale;
  }
}

}  // namespace

void moe_route(const MoeRouteParams& p, CpuContext& context) {
  const int64_t T = p.logits.size(0), E = p.logits.size(1), K = p.experts.size(1);
  const int64_t grain = std::max<int64_t>(1, kGrainElements / (4 * std::max<int64_t>(E, 1)));
  dispatch_float(p.logits.dtype, [&]<class X>(X) {
    parallel_for(context.pool(), T, grain, [&](int64_t begin, int64_t end, int thread) {
      RouteRow& row = *context.workspace<RouteRow>(thread);
      for (int64_t t = begin; t < end; t++) {
        widen(row_at<X>(p.logits, t), row.score, E);
        p.scores == MoeScores::softmax ? softmax(row.score, E) : sigmoids(row.score, E);  // 1.
        route_row(p, row, p.weights.as<float>() + t * K, p.experts.as<int32_t>() + t * K);
      }
    });
  });
  if (p.order) moe_permute({p.experts, p.order, p.inverse, p.offsets}, context);  // 6.
}

}  // namespace warploop::cpu::WARPLOOP_ISA
