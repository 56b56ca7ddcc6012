#include "ops/clamp/clamp.h"

#include <cmath>

namespace warploop {

void check(const ClampParams& p, Check& c) {
  c.tensor("x", p.x).dtype(kFloats).rows();
  c.tensor("out", p.out).dtype(kFloats).like(p.x, "x").rows();
  c.that(p.limit > 0 && std::isfinite(p.limit), "limit", "a positive number", p.limit);
}

}  // namespace warploop
