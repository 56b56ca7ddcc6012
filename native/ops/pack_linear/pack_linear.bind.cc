#include "ops/pack_linear/pack_linear.h"
#include "bind/arguments.h"

namespace warploop {

void bind_pack_linear(Arguments& args) {
  PackLinearParams p{};
  p.weight = args.tensor();
  p.out = args.weight();
  p.first_row = args.i32();
  args.submit<OpId::pack_linear>(p);
}

}  // namespace warploop
