#include "ops/moe_combine/moe_combine.h"

namespace warploop {

void check(const MoeCombineParams& p, Check& c) {
  Sym T{"T"}, K{"K"}, D{"D"}, offsets{"E+1"};
  c.tensor("inverse", p.inverse).dtype(kI32).shape({T, K}).packed();
  c.tensor("weights", p.weights).dtype(kF32).shape({T, K}).packed();
  c.tensor("y", p.y).dtype(kFloats).shape({p.inverse.numel(), D}).rows();
  c.optional("residual", p.residual).dtype(kF32).shape({T, D}).rows();
  c.optional("offsets", p.offsets).dtype(kI32).shape({offsets}).packed();
  if (p.offsets) c.that(offsets.value() >= 2, "offsets", "at least 2 elements", offsets.value());
  c.tensor("out", p.out).dtype(kFloats).shape({T, D}).rows();
}

}  // namespace warploop
