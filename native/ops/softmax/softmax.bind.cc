#include "ops/softmax/softmax.h"
#include "bind/arguments.h"

namespace warploop {

void bind_softmax(Arguments& args) {
  SoftmaxParams p{};
  p.x = args.tensor();
  p.out = args.tensor();
  p.scale = args.f32();
  p.causal = args.flag();
  args.submit<OpId::softmax>(p);
}

}  // namespace warploop
