#include "ops/moe_permute/moe_permute.h"
#include "bind/arguments.h"

namespace warploop {

void bind_moe_permute(Arguments& args, Stream& stream) {
  MoePermuteParams p{};
  p.experts = args.tensor();
  p.order = args.tensor();
  p.inverse = args.tensor();
  p.offsets = args.tensor();
  stream.submit<OpId::moe_permute>(p);
}

}  // namespace warploop
