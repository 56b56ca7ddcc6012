#include "formats/formats.h"

namespace warploop {

PackedShape packed_shape(WeightFormat format, DType dtype, const WeightShape& shape) {
  return dispatch_format(format, [&](auto of) { return of.packed_shape(dtype, shape); });
}

void check_weight(const char* name, const WeightView& weight, Check& c) {
  const PackedShape expected = packed_shape(weight.format, weight.data.dtype, weight.shape());
  const unsigned stored = dispatch_format(weight.format, [](auto of) { return of.kStored; });
  c.that(!weight.swiglu || weight.outputs % 2 == 0, name, "an even number of rows (gate and up)",
         weight.outputs);
  c.tensor(name, weight.data).dtype(stored);
  c.shape({expected.experts, expected.rows, expected.pitch}).packed();
}

unsigned activations_of(const WeightView& weight) {
  return dispatch_format(weight.format, [&](auto of) { return of.activations(weight.data.dtype); });
}

}  // namespace warploop
