#include "ops/cast/cast.h"

#include "bind/arguments.h"

namespace warploop {

void bind_cast(Arguments& args) {
  CastParams p{};
  p.x = args.tensor();
  p.out = args.tensor();
  p.dtype = args.i32();
  args.submit<OpId::cast>(p);
}

}  // namespace warploop
