#include "ops/moe_count/moe_count.h"

#include <limits>

namespace warploop {

void check(const MoeCountParams& p, Check& c) {
  Sym T{"T"}, K{"K"}, E{"E"};
  c.tensor("experts", p.experts).dtype(kI32).shape({T, K}).packed();
  c.that(p.experts.numel() <= std::numeric_limits<int32_t>::max(), "experts", "less than 2^31 elements",
         p.experts.numel());
  c.optional("slots", p.slots).dtype(kI32).shape({T}).packed();
  c.tensor("counts", p.counts).dtype(kI32).shape({E, 2}).packed();
  c.that(E.value() >= 1, "counts", "at least one expert", E.value());
}

}  // namespace warploop
