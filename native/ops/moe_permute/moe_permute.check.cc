#include "ops/moe_permute/moe_permute.h"

#include <limits>

namespace warploop {

void check(const MoePermuteParams& p, Check& c) {
  Sym T{"T"}, K{"K"}, offsets{"E+1"};
  c.tensor("experts", p.experts).dtype(kI32).shape({T, K}).packed();
  c.that(p.experts.numel() <= std::numeric_limits<int32_t>::max(), "experts", "less than 2^31 elements",
         p.experts.numel());
  c.tensor("order", p.order).dtype(kI32).shape({p.experts.numel()}).packed();
  c.tensor("inverse", p.inverse).dtype(kI32).shape({T, K}).packed();
  c.tensor("offsets", p.offsets).dtype(kI32).shape({offsets}).packed();
  c.that(offsets.value() >= 2, "numExperts", "at least 1", offsets.value() - 1);
}

}  // namespace warploop
