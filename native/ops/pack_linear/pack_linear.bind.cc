#include "ops/pack_linear/pack_linear.h"
#include "bind/arguments.h"

namespace warploop {

void bind_pack_linear(Arguments& args) {
  PackLinearParams p{};
  p.weight = args.tensor();
  p.out = args.tensor();
  p.transpose = args.flag();
  p.swiglu = args.flag();
  args.submit<OpId::pack_linear>(p);
}

}  // namespace warploop
