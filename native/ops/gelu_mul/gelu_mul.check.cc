#include "ops/gelu_mul/gelu_mul.h"
#include "ops/gelu/gelu.h"

namespace warploop {

void check(const GeluMulParams& p, Check& c) {
  Sym T{"T"}, F{"F"}, F2{"2F"};
  c.tensor("x", p.x).dtype(kFloats).shape({T, F2}).rows();
  c.tensor("out", p.out).dtype(kFloats).shape({T, F}).rows();
  c.that(F2.value() == 2 * F.value(), "x", "a last axis of 2F, twice that of out", F2.value());
  c.that(p.approximate == kGeluErf || p.approximate == kGeluTanh, "approximate", "\"none\" or \"tanh\"",
         p.approximate);
}

}  // namespace warploop
