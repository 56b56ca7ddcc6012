#include "ops/cast/cast.h"

namespace warploop {

void check(const CastParams& p, Check& c) {
  c.tensor("x", p.x).dtype(kFloats).rows();
  c.that(p.dtype >= 0 && p.dtype < kDTypeCount && (kFloats >> p.dtype & 1), "dtype", "f32, bf16 or f16",
         p.dtype);
  c.tensor("out", p.out).dtype(1u << p.dtype).like(p.x, "x").rows();
}

}  // namespace warploop
