#include "ops/pack_linear/pack_linear.h"

namespace warploop {

void check(const PackLinearParams& p, Check& c) {
  Sym n{"n"}, K{"K", p.out.inputs, "out", 1};
  c.tensor("weight", p.weight).dtype(kFloats).rows();
  p.transpose ? c.shape({K, n}) : c.shape({n, K});
  check_weight("out", p.out, c);
  c.same_dtype(p.weight, "weight");
  c.that(p.out.data.size(0) == 1, "out", "one matrix", p.out.data.size(0));
  c.that(p.first_row >= 0 && p.first_row + p.rows() <= p.out.outputs, "weight",
         "rows inside the packed weight", p.first_row + p.rows());
}

}  // namespace warploop
