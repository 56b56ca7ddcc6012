#include "ops/gelu/gelu.h"

namespace warploop {

void check(const GeluParams& p, Check& c) {
  c.tensor("x", p.x).dtype(kFloats).rows();
  c.tensor("out", p.out).dtype(kFloats).like(p.x, "x").rows();
  c.that(p.approximate == kGeluErf || p.approximate == kGeluTanh, "approximate", "\"none\" or \"tanh\"",
         p.approximate);
}

}  // namespace warploop
