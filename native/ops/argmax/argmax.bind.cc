#include "ops/argmax/argmax.h"
#include "bind/arguments.h"

namespace warploop {

void bind_argmax(Arguments& args) {
  ArgmaxParams p{};
  p.logits = args.tensor();
  p.out = args.tensor();
  p.status = args.optional_tensor();
  args.submit<OpId::argmax>(p);
}

}  // namespace warploop
