#include "ops/silu_mul/silu_mul.h"

#include "core/swiglu_check.h"

namespace warploop {

void check(const SiluMulParams& p, Check& c) {
  Sym T{"T"}, F{"F"}, F2{"2F"};
  c.tensor("x", p.x).dtype(kFloats).shape({T, F2}).rows();
  c.tensor("out", p.out).dtype(kFloats).shape({T, F}).rows();
  c.that(F2.value() == 2 * F.value(), "x", "a last axis of 2F, twice that of out", F2.value());
  check_swiglu(p, c);
}

}  // namespace warploop
