#include "ops/linear/linear.h"

#include "formats/formats.h"

namespace warploop {

void check(const LinearParams& p, Check& c) {
  const bool swiglu = p.weight.swiglu;
  Sym T{"T"}, N{"N", p.weight.outputs, "weight", 0}, K{"K", p.weight.inputs, "weight", 1};
  Sym F{"F", p.weight.outputs / 2, "weight", 0};
  check_weight("weight", p.weight, c);
  c.that(p.weight.data.size(0) == 1, "weight", "one matrix", p.weight.data.size(0));
  c.tensor("x", p.x).dtype(activations_of(p.weight)).shape({T, K}).rows();
  c.tensor("out", p.out).dtype(kFloats).shape({T, swiglu ? F : N}).rows();
  c.optional("bias", p.bias).dtype(kF32).shape({N}).packed();
  c.that(!swiglu || !p.residual, "residual", "none with a weight of gate and up", "a tensor");
  c.optional("residual", p.residual).dtype(kFloats).shape({T, N}).rows();
}

}  // namespace warploop
