#include "ops/linear/linear.h"

#include "ops/pack_linear/pack_linear.h"

namespace warploop {

void check(const LinearParams& p, Check& c) {
  Sym T{"T"}, K{"K"}, N{"N"};
  c.tensor("x", p.x).dtype(kFloats).shape({T, K}).rows();
  c.tensor("out", p.out).dtype(kFloats).shape({T, N}).rows();
  check_packed("weight", p.weight, panels_of(p.out.size(1), false), p.x.size(1), c);
  c.tensor("x", p.x).dtype(kF32 | dtype_bit(p.weight.dtype));
  c.optional("bias", p.bias).dtype(kF32).shape({N}).packed();
  c.optional("residual", p.residual).dtype(kFloats).shape({T, N}).rows();
}

}  // namespace warploop
