#include "ops/logprobs/logprobs.h"

#include <algorithm>

namespace warploop {

void check(const LogprobsParams& p, Check& c) {
  Sym B{"B"}, V{"V"}, N{"N"};
  c.tensor("logits", p.logits).dtype(kFloats).shape({B, V}).rows();
  c.that(V.value() >= 1, "logits", "at least 1 column", V.value());
  c.tensor("ids", p.ids).dtype(kI32).shape({B}).packed();
  c.tensor("chosen", p.chosen).dtype(kF32).shape({B}).packed();
  c.tensor("topIds", p.top_ids).dtype(kI32).shape({B, N}).packed();
  c.tensor("topValues", p.top_values).dtype(kF32).shape({B, N}).packed();
  c.optional("status", p.status).dtype(kI32).shape({B}).packed();
  c.that(N.value() <= std::min(V.value(), kMaxTopLogprobs), "topN", "at most 256 and at most V", N.value());
}

}  // namespace warploop
