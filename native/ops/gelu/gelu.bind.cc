#include "ops/gelu/gelu.h"

#include "bind/arguments.h"

namespace warploop {

void bind_gelu(Arguments& args) {
  GeluParams p{};
  p.x = args.tensor();
  p.out = args.tensor();
  p.approximate = args.i32();
  args.submit<OpId::gelu>(p);
}

}  // namespace warploop
