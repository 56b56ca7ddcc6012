#include "ops/argmax/argmax.h"

namespace warploop {

void check(const ArgmaxParams& p, Check& c) {
  Sym B{"B"}, V{"V"};
  c.tensor("logits", p.logits).dtype(kFloats).shape({B, V}).rows();
  c.that(V.value() >= 1, "logits", "at least 1 column", V.value());
  c.tensor("out", p.out).dtype(kI32).shape({B}).packed();
  c.optional("status", p.status).dtype(kI32).shape({B}).packed();
}

}  // namespace warploop
