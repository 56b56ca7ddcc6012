// The router of a mixture of experts: which K experts each token goes to, and with which weights.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

enum class MoeScores : int32_t { softmax, sigmoid };

struct MoeRouteParams {
  TensorView logits;   // [T, E], f32 | bf16 | f16, rows strided
  TensorView bias;     // [E], f32; optional; added to the scores for the choice only
  TensorView weights;  // [T, K], f32, packed
  TensorView experts;  // [T, K], i32, packed
  MoeScores scores;    // scores = softmax over E, or sigmoid of each logit
  bool renormalize;    // divide the K weights by their sum
  float scale;         // multiplies the weights, last
  int32_t groups;      // divides E: runs of E / groups experts
  int32_t top_groups;  // <= groups; only experts of that many best groups can be chosen
  int32_t group_best;  // 1 or 2: a group's score is the sum of so many of its best choices

  // The pairs grouped by expert as well, as moe_permute does it; all three or none.
  TensorView order;    // [T*K], i32, packed; optional
  TensorView inverse;  // [T, K], i32, packed; optional
  TensorView offsets;  // [E+1], i32, packed; optional
};

/// As TypeScript passes them.
inline auto fields(MoeRouteParams& p) {
  return in_order(p.logits, optional(p.bias), p.weights, p.experts, p.scores, p.renormalize, p.scale,
                  p.groups, p.top_groups, p.group_best, optional(p.order), optional(p.inverse),
                  optional(p.offsets));
}

/// Bound of E: a row of scores stays in L1.
inline constexpr int64_t kMaxExperts = 4096;

void check(const MoeRouteParams& p, Check& c);

}  // namespace warploop
