#include "ops/softmax/softmax.h"

#include <cmath>

namespace warploop {

void check(const SoftmaxParams& p, Check& c) {
  Sym T{"T"}, D{"D"};
  c.tensor("x", p.x).dtype(kFloats).shape({T, D}).rows();
  c.tensor("out", p.out).dtype(kFloats).shape({T, D}).rows();
  c.that(p.scale > 0 && std::isfinite(p.scale), "scale", "a positive, finite number", p.scale);
}

}  // namespace warploop
