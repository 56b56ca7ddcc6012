#include "ops/copy/copy.h"

#include "bind/arguments.h"

namespace warploop {

void bind_copy(Arguments& args, Stream& stream) {
  CopyParams p{};
  p.src = args.tensor();
  p.dst = args.tensor();
  stream.submit<OpId::copy>(p);
}

}  // namespace warploop
