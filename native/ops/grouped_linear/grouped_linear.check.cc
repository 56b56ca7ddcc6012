#include "ops/grouped_linear/grouped_linear.h"

#include "ops/pack_linear/pack_linear.h"

namespace warploop {

void check(const GroupedLinearParams& p, Check& c) {
  Sym S{"S"}, K{"K"}, M{"M"}, N{"N"};
  c.tensor("x", p.x).dtype(kFloats).shape({S, K}).rows();
  c.tensor("offsets", p.offsets).dtype(kI32).shape({kAny}).packed();
  c.that(p.offsets.size(0) >= 2, "offsets", "at least one expert (E + 1 numbers)", p.offsets.size(0));
  c.tensor("out", p.out).dtype(kFloats).shape({M, N}).rows();
  const int64_t experts = p.offsets.size(0) - 1;
  const int64_t outputs = p.out.size(1) * (p.swiglu ? 2 : 1);
  check_packed("weight", p.weight, experts * panels_of(outputs, p.swiglu), p.x.size(1), c);
  c.tensor("x", p.x).dtype(kF32 | dtype_bit(p.weight.dtype));
  c.optional("order", p.order).dtype(kI32).shape({M}).packed();
  c.that(p.top_k >= 1, "topK", "an integer >= 1", p.top_k);
  if (!p.order) c.tensor("x", p.x).shape({M, K});
}

}  // namespace warploop
