#include "ops/cast/cast.h"

#include "bind/arguments.h"

namespace warploop {

void bind_cast(Arguments& args, Stream& stream) {
  CastParams p{};
  p.x = args.tensor();
  p.out = args.tensor();
  p.dtype = args.i32();
  stream.submit<OpId::cast>(p);
}

}  // namespace warploop
