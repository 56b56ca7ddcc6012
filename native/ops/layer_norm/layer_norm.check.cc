#include "ops/layer_norm/layer_norm.h"

namespace warploop {

void check(const LayerNormParams& p, Check& c) {
  Sym T{"T"}, D{"D"};
  c.tensor("x", p.x).dtype(kFloats).shape({T, D}).rows();
  c.tensor("weight", p.weight).dtype(kF32).shape({D}).packed();
  c.optional("bias", p.bias).dtype(kF32).shape({D}).packed();
  c.tensor("out", p.out).dtype(kFloats).shape({T, D}).rows();
  c.that(p.eps > 0, "eps", "a positive number", p.eps);
}

}  // namespace warploop
