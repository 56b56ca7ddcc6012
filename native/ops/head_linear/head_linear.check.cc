#include "ops/head_linear/head_linear.h"

#include "formats/formats.h"

namespace warploop {

void check(const HeadLinearParams& p, Check& c) {
  Sym T{"T"}, H{"H", p.weight.data.size(0), "weight", 0};
  Sym N{"N", p.weight.outputs, "weight", 1}, K{"K", p.weight.inputs, "weight", 2};
  check_weight("weight", p.weight, c);
  c.that(!p.weight.swiglu, "weight", "matrices without gate and up", "swiglu");
  c.that(H.value() <= p.kMostHeads, "weight", "at most 65535 heads", H.value());
  c.tensor("x", p.x).dtype(activations_of(p.weight)).shape({T, H, K}).rows();
  c.tensor("out", p.out).dtype(kFloats).shape({T, H, N}).rows();
}

}  // namespace warploop
