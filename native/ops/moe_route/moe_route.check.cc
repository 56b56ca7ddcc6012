#include "ops/moe_route/moe_route.h"

#include <cmath>

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
  const int64_t open = p.groups > 0 ? E.value() / p.groups * p.top_groups : 0;
  c.that(K.value() > 0 && K.value() <= open, "topK",
         "between 1 and the number of experts in topGroups groups", K.value());
}

}  // namespace warploop
