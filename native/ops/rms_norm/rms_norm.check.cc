#include "ops/rms_norm/rms_norm.h"

#include <cmath>

namespace warploop {

void check(const RmsNormParams& p, Check& c) {
  Sym T{"T"}, H{"H"}, D{"D"};
  const auto shape = [&](Check& t) -> Check& { return p.x.rank == 3 ? t.shape({T, H, D}) : t.shape({T, D}); };
  shape(c.tensor("x", p.x).dtype(kFloats)).rows();
  c.tensor("weight", p.weight).dtype(kF32);
  (p.x.rank == 3 && p.weight.rank == 2 ? c.shape({H, D}) : c.shape({D})).packed();
  shape(c.optional("residual", p.residual).dtype(kF32)).rows();
  shape(c.optional("gate", p.gate).same_dtype(p.x, "x")).rows();
  shape(c.tensor("out", p.out).dtype(kFloats)).rows();
  c.that(p.eps > 0, "eps", "a positive number", p.eps);
  c.that(std::isfinite(p.weight_offset), "weightOffset", "a finite number", p.weight_offset);
}

}  // namespace warploop
