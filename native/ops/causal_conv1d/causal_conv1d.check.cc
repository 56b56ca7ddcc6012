#include "ops/causal_conv1d/causal_conv1d.h"

namespace warploop {

void check(const CausalConv1dParams& p, Check& c) {
  Sym T{"T"}, D{"D"}, W{"W"}, B{"B"}, N{"N"};
  c.tensor("x", p.x).dtype(kFloats).shape({T, D}).rows();
  c.tensor("weight", p.weight).dtype(kF32).shape({D, W}).packed();
  c.that(W.value() >= kMinConvTaps && W.value() <= kMaxConvTaps, "weight", "2 to 8 columns", W.value());
  c.optional("bias", p.bias).dtype(kF32).shape({D}).packed();
  c.tensor("contextLens", p.context_lens).dtype(kI32).shape({B}).packed();
  c.tensor("cuSeqlensQ", p.cu_seqlens_q).dtype(kI32).shape({B.value() + 1}).packed();
  c.tensor("state", p.state).same_dtype(p.x, "x").shape({N, W.value() - 1, D}).rows();
  c.tensor("stateIndices", p.state_indices).dtype(kI32).shape({B}).packed();
  c.tensor("out", p.out).same_dtype(p.x, "x").shape({T, D}).rows();
  c.that(p.activation >= ConvActivation::none && p.activation < ConvActivation::count, "activation",
         "a known activation", static_cast<int32_t>(p.activation));
}

}  // namespace warploop
