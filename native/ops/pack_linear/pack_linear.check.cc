#include "ops/pack_linear/pack_linear.h"

namespace warploop {

void check(const PackLinearParams& p, Check& c) {
  Sym n{"n"}, K{"K", p.out.inputs, "out", 1};
  c.tensor("weight", p.weight).dtype(kFloats);
  if (p.weight.rank <= 2) {
    c.shape({n, K});
  } else {
    c.that(p.inputs() == p.out.inputs, "weight", "rows as long as those of out", p.inputs());
  }
  check_weight("out", p.out, c);
  c.that(p.out.format == WeightFormat::dense, "out", "a dense weight", name_of(p.out.format));
  c.same_dtype(p.weight, "weight");
  c.that(p.out.data.size(0) == 1, "out", "one matrix", p.out.data.size(0));
  c.that(p.first_row >= 0 && p.first_row + p.rows() <= p.out.outputs, "weight",
         "rows inside the packed weight", p.first_row + p.rows());
}

}  // namespace warploop
