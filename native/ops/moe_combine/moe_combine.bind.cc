#include "ops/moe_combine/moe_combine.h"
#include "bind/arguments.h"

namespace warploop {

void bind_moe_combine(Arguments& args) {
  MoeCombineParams p{};
  p.y = args.tensor();
  p.inverse = args.tensor();
  p.weights = args.tensor();
  p.residual = args.optional_tensor();
  p.offsets = args.optional_tensor();
  p.out = args.tensor();
  args.submit<OpId::moe_combine>(p);
}

}  // namespace warploop
