#include "ops/grouped_linear/grouped_linear.h"
#include "bind/arguments.h"

namespace warploop {

void bind_grouped_linear(Arguments& args) {
  GroupedLinearParams p{};
  p.x = args.tensor();
  p.weight = args.weight();
  p.offsets = args.tensor();
  p.order = args.optional_tensor();
  p.out = args.tensor();
  p.top_k = args.i32();
  args.submit<OpId::grouped_linear>(p);
}

}  // namespace warploop
