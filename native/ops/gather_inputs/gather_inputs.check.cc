#include "ops/gather_inputs/gather_inputs.h"

namespace warploop {

void check(const GatherInputsParams& p, Check& c) {
  Sym S{"S"}, M{"M"}, K{"K"}, E{"E"};
  c.tensor("x", p.x).dtype(kFloats).shape({S, K}).rows();
  c.tensor("inputOrder", p.input_order).dtype(kI32).shape({E, K}).rows();
  const int64_t experts = p.input_order.size(0);
  c.that(experts >= 1 && (experts == 1 || p.offsets), "inputOrder", "one row, or offsets and one or more",
         experts);
  c.optional("offsets", p.offsets).dtype(kI32).shape({experts + 1}).packed();
  c.tensor("out", p.out).dtype(dtype_bit(p.x.dtype)).shape({M, K}).rows();
  c.optional("order", p.order).dtype(kI32).shape({M}).packed();
  c.that(p.top_k >= 1, "topK", "an integer >= 1", p.top_k);
  if (!p.order) c.tensor("x", p.x).shape({M, K});
}

}  // namespace warploop
