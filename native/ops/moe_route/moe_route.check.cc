#include "ops/moe_route/moe_route.h"

#include <cmath>
#include <limits>

namespace warploop {

void check(const MoeRouteParams& p, Check& c) {
  Sym T{"T"}, E{"E"}, K{"K"};
  c.tensor("logits", p.logits).dtype(kFloats).shape({T, E}).rows();
  c.optional("bias", p.bias).dtype(kF32).shape({E}).packed();
  c.tensor("weights", p.weights).dtype(kF32).shape({T, K}).packed();
  c.tensor("experts", p.experts).dtype(kI32).shape({T, K}).packed();
  const int32_t scores = static_cast<int32_t>(p.scores);
  c.that(scores == 0 || scores == 1, "scores", "\"softmax\" or \"sigmoid\"", scores);
  c.that(std::isfinite(p.scale), "scale", "a finite number", p.scale);
  c.that(E.value() <= kMaxExperts, "logits", "at most 4096 experts", E.value());
  c.that(p.groups > 0 && E.value() % p.groups == 0, "groups", "a positive divisor of the number of experts",
         p.groups);
  c.that(p.top_groups > 0 && p.top_groups <= p.groups, "topGroups", "between 1 and groups", p.top_groups);
  c.that(p.group_best == 1 || p.group_best == 2, "groupBest", "1 or 2", p.group_best);
  const int64_t open = p.groups > 0 ? E.value() / p.groups * p.top_groups : 0;
  c.that(K.value() > 0 && K.value() <= open, "topK",
         "between 1 and the number of experts in topGroups groups", K.value());
  const int parts = (p.order ? 1 : 0) + (p.inverse ? 1 : 0) + (p.offsets ? 1 : 0);
  c.that(parts == 0 || parts == 3, "permutation", "order, inverse and offsets", parts);
  c.that(parts == 0 || p.experts.numel() <= std::numeric_limits<int32_t>::max(), "permutation",
         "less than 2^31 pairs", p.experts.numel());
  c.optional("permutation.order", p.order).dtype(kI32).shape({p.experts.numel()}).packed();
  c.optional("permutation.inverse", p.inverse).dtype(kI32).shape({T, K}).packed();
  c.optional("permutation.offsets", p.offsets).dtype(kI32).shape({E.value() + 1}).packed();
}

}  // namespace warploop
