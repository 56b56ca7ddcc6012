#include "ops/argmax/argmax.h"

#include <limits>

namespace warploop {

void check(const ArgmaxParams& p, Check& c) {
  Sym B{"B"}, V{"V"};
  c.tensor("logits", p.logits).dtype(kFloats).shape({B, V}).rows();
  c.that(V.value() >= 1 && V.value() <= std::numeric_limits<int32_t>::max(), "logits",
         "between 1 and 2^31-1 columns", V.value());
  c.tensor("out", p.out).dtype(kI32).shape({B}).packed();
  c.optional("status", p.status).dtype(kI32).shape({B}).packed();
}

}  // namespace warploop
