#include "ops/sample/sample.h"
#include "bind/arguments.h"

namespace warploop {

void bind_sample(Arguments& args) {
  SampleParams p{};
  p.logits = args.tensor();
  p.floats = args.tensor();
  p.ints = args.tensor();
  p.positions = args.tensor();
  p.token_pool = args.optional_tensor();
  p.bias_ids = args.optional_tensor();
  p.bias_values = args.optional_tensor();
  p.suppressed_ids = args.optional_tensor();
  p.bitmask = args.optional_tensor();
  p.processed = args.tensor();
  p.counts = args.optional_tensor();
  p.out = args.tensor();
  p.status = args.optional_tensor();
  args.submit<OpId::sample>(p);
}

}  // namespace warploop
