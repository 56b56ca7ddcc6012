#include "ops/add/add.h"

#include <cmath>

namespace warploop {

void check(const AddParams& p, Check& c) {
  c.tensor("a", p.a).dtype(kFloats).rows();
  c.tensor("b", p.b).dtype(kFloats).like(p.a, "a").rows();
  c.tensor("out", p.out).same_dtype(p.a, "a").like(p.a, "a").rows();
  c.that(std::isfinite(p.scale), "scale", "a finite number", p.scale);
}

}  // namespace warploop
