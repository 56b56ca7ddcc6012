#include "ops/moe_permute/moe_permute.h"
#include "bind/arguments.h"

namespace warploop {

void bind_moe_permute(Arguments& args) {
  MoePermuteParams p{};
  p.experts = args.tensor();
  p.order = args.tensor();
  p.inverse = args.tensor();
  p.offsets = args.tensor();
  args.submit<OpId::moe_permute>(p);
}

}  // namespace warploop
