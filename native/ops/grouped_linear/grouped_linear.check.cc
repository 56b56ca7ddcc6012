#include "ops/grouped_linear/grouped_linear.h"

#include "core/swiglu_check.h"
#include "formats/formats.h"

namespace warploop {

void check(const GroupedLinearParams& p, Check& c) {
  const int64_t experts = p.weight.data.size(0), outputs = p.weight.outputs / (p.weight.swiglu ? 2 : 1);
  Sym rows_each{"N", p.weight.outputs, "weight", 0};
  Sym S{"S"}, M{"M"}, N{"N", outputs, "weight", 0}, K{"K", p.weight.inputs, "weight", 1};
  check_weight("weight", p.weight, c);
  c.that(experts >= 1, "weight", "at least one expert", experts);
  c.tensor("x", p.x).dtype(activations_of(p.weight)).shape({S, K}).rows();
  c.tensor("offsets", p.offsets).dtype(kI32).shape({experts + 1}).packed();
  c.tensor("out", p.out).dtype(kFloats).shape({M, N}).rows();
  c.optional("order", p.order).dtype(kI32).shape({M}).packed();
  c.optional("bias", p.bias).dtype(kF32).shape({experts, rows_each}).rows();
  c.that(!p.clamped || p.weight.swiglu, "clamp", "none with a weight that is not one of gate and up", "some");
  check_swiglu(p, c);
  c.that(p.top_k >= 1, "topK", "an integer >= 1", p.top_k);
  if (!p.order) c.tensor("x", p.x).shape({M, K});
}

}  // namespace warploop
