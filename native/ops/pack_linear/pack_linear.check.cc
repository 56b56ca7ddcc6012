#include "ops/pack_linear/pack_linear.h"

namespace warploop {

void check_packed(const char* name, const TensorView& weight, int64_t panels, int64_t K, Check& c) {
  const int64_t u = pairs_of(weight.dtype);
  c.tensor(name, weight).dtype(kFloats).shape({panels, (K + u - 1) / u, kPanelColumns, u}).packed();
}

void check(const PackLinearParams& p, Check& c) {
  c.tensor("weight", p.weight).dtype(kFloats).shape({kAny, kAny}).rows();
  const int64_t N = p.weight.size(p.transpose ? 1 : 0), K = p.weight.size(p.transpose ? 0 : 1);
  c.that(!p.swiglu || N % 2 == 0, "weight", "an even number of rows (gate and up)", N);
  check_packed("out", p.out, panels_of(N, p.swiglu), K, c);
  c.same_dtype(p.weight, "weight");
}

}  // namespace warploop
