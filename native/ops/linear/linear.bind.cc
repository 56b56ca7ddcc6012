#include "ops/linear/linear.h"
#include "bind/arguments.h"

namespace warploop {

void bind_linear(Arguments& args) {
  LinearParams p{};
  p.x = args.tensor();
  p.weight = args.weight();
  p.bias = args.optional_tensor();
  p.residual = args.optional_tensor();
  p.out = args.tensor();
  args.submit<OpId::linear>(p);
}

}  // namespace warploop
