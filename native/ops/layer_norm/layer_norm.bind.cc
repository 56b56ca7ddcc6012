#include "ops/layer_norm/layer_norm.h"

#include "bind/arguments.h"

namespace warploop {

void bind_layer_norm(Arguments& args) {
  LayerNormParams p{};
  p.x = args.tensor();
  p.weight = args.tensor();
  p.bias = args.optional_tensor();
  p.out = args.tensor();
  p.eps = args.f32();
  args.submit<OpId::layer_norm>(p);
}

}  // namespace warploop
