#include "ops/ssm_scan/ssm_scan.h"

namespace warploop {

void check(const SsmScanParams& p, Check& c) {
  Sym T{"T"}, H{"H"}, P{"P"}, G{"G"}, N{"N"}, B{"B"}, S{"S"};
  c.tensor("x", p.x).dtype(kFloats).shape({T, H, P}).rows();
  c.tensor("dt", p.dt).same_dtype(p.x, "x").shape({T, H}).rows();
  c.tensor("a", p.a).dtype(kF32).shape({H}).packed();
  c.tensor("b", p.b).same_dtype(p.x, "x").shape({T, G, N}).rows();
  const bool divides = G.value() > 0 ? H.value() % G.value() == 0 : H.value() == 0;
  c.that(divides, "b", "groups that divide the heads of x", G.value());
  c.that(N.value() >= 1 && N.value() <= kMaxSsmState, "b", "1 to 256 columns", N.value());
  c.tensor("c", p.c).same_dtype(p.x, "x").shape({T, G, N}).rows();
  c.optional("skip", p.skip).dtype(kF32).shape({H}).packed();
  c.optional("dtBias", p.dt_bias).dtype(kF32).shape({H}).packed();
  c.tensor("contextLens", p.context_lens).dtype(kI32).shape({B}).packed();
  c.tensor("cuSeqlensQ", p.cu_seqlens_q).dtype(kI32).shape({B.value() + 1}).packed();
  c.tensor("state", p.state).dtype(kF32).shape({S, H, N, P}).rows();
  c.tensor("stateIndices", p.state_indices).dtype(kI32).shape({B}).packed();
  c.tensor("out", p.out).same_dtype(p.x, "x").shape({T, H, P}).rows();
  c.that(p.dt_max >= 0, "dtMax", "a number from 0 on", p.dt_max);
  c.that(p.dt_min >= 0 && p.dt_min <= p.dt_max, "dtMin", "a number from 0 to dtMax", p.dt_min);
}

}  // namespace warploop
