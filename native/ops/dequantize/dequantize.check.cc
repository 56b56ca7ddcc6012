#include "ops/dequantize/dequantize.h"

namespace warploop {

void check(const DequantizeParams& p, Check& c) {
  Sym n{"n", p.stored.rows, "stored", 0}, m{"m", p.stored.inputs, "stored", 1};
  check_stored("stored", p.stored, c);
  c.tensor("out", p.out).dtype(kFloats).shape({n, m}).rows();
}

}  // namespace warploop
