#include "ops/copy/copy.h"

#include "bind/arguments.h"

namespace warploop {

void bind_copy(Arguments& args) {
  CopyParams p{};
  p.src = args.tensor();
  p.dst = args.tensor();
  args.submit<OpId::copy>(p);
}

}  // namespace warploop
