#include "ops/sample/sample.h"

#include <limits>

namespace warploop {

void check(const SampleParams& p, Check& c) {
  Sym B{"B"}, V{"V"}, Nb{"Nb"}, Ns{"Ns"}, R{"R"}, L{"L"};
  c.tensor("logits", p.logits).dtype(kFloats).shape({B, V}).rows();
  static_assert(kMaxAxis <= std::numeric_limits<int32_t>::max() - kSampleBlock);
  c.that(V.value() >= 1, "logits", "at least 1 column", V.value());
  c.tensor("floats", p.floats).dtype(kF32).shape({B, static_cast<int64_t>(SampleFloat::count)}).packed();
  c.tensor("ints", p.ints).dtype(kI32).shape({B, static_cast<int64_t>(SampleInt::count)}).packed();
  c.tensor("positions", p.positions).dtype(kI32).shape({B}).packed();
  c.optional("tokenPool", p.token_pool).dtype(kI32).shape({R, L}).rows();
  c.optional("biasIds", p.bias_ids).dtype(kI32).shape({B, Nb}).packed();
  if (p.bias_ids) {
    c.tensor("biasValues", p.bias_values).dtype(kF32).shape({B, Nb}).packed();
  } else {
    c.that(!p.bias_values, "biasValues", "none without biasIds", "a tensor");
  }
  c.optional("suppressedIds", p.suppressed_ids).dtype(kI32).shape({B, Ns}).packed();
  c.optional("bitmask", p.bitmask).dtype(kI32).shape({B, (V.value() + 31) / 32}).rows();
  const int64_t blocks = (V.value() + kSampleBlock - 1) / kSampleBlock;
  c.tensor("processed", p.processed).dtype(kF32).shape({B, blocks * (kSampleBlock + 1)}).packed();
  if (p.token_pool) c.tensor("counts", p.counts).dtype(kI32).shape({B, V}).packed();
  c.tensor("out", p.out).dtype(kI32).shape({B}).packed();
  c.optional("status", p.status).dtype(kI32).shape({B}).packed();
}

}  // namespace warploop
