#include "ops/cast/cast.h"

namespace warploop {

void check(const CastParams& p, Check& c) {
  c.tensor("x", p.x).dtype(kFloats).rows();
  c.tensor("out", p.out).dtype(kFloats).like(p.x, "x").rows();
}

}  // namespace warploop
