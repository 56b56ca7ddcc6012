#include "ops/softcap/softcap.h"

#include <cmath>

namespace warploop {

void check(const SoftcapParams& p, Check& c) {
  c.tensor("x", p.x).dtype(kFloats).rows();
  c.tensor("out", p.out).dtype(kFloats).like(p.x, "x").rows();
  c.that(p.cap > 0 && std::isfinite(p.cap), "cap", "a positive number", p.cap);
}

}  // namespace warploop
