#include "ops/rms_norm/rms_norm.h"
#include "bind/arguments.h"

namespace warploop {

void bind_rms_norm(Arguments& args) {
  RmsNormParams p{};
  p.x = args.tensor();
  p.weight = args.tensor();
  p.residual = args.optional_tensor();
  p.out = args.tensor();
  p.eps = args.f32();
  p.weight_offset = args.f32();
  args.submit<OpId::rms_norm>(p);
}

}  // namespace warploop
