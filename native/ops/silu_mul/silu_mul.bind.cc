#include "ops/silu_mul/silu_mul.h"

#include "bind/arguments.h"

namespace warploop {

void bind_silu_mul(Arguments& args) {
  SiluMulParams p{};
  p.x = args.tensor();
  p.out = args.tensor();
  args.submit<OpId::silu_mul>(p);
}

}  // namespace warploop
