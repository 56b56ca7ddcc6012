#include "ops/gelu_mul/gelu_mul.h"

#include "bind/arguments.h"

namespace warploop {

void bind_gelu_mul(Arguments& args) {
  GeluMulParams p{};
  p.x = args.tensor();
  p.out = args.tensor();
  p.approximate = args.i32();
  args.submit<OpId::gelu_mul>(p);
}

}  // namespace warploop
