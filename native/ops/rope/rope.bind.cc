#include "ops/rope/rope.h"
#include "bind/arguments.h"

namespace warploop {

void bind_rope(Arguments& args) {
  RopeParams p{};
  p.q = args.tensor();
  p.k = args.optional_tensor();
  p.positions = args.tensor();
  p.table = args.tensor();
  p.interleaved = args.flag();
  args.submit<OpId::rope>(p);
}

}  // namespace warploop
