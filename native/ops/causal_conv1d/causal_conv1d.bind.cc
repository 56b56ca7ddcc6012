#include "ops/causal_conv1d/causal_conv1d.h"

#include "bind/arguments.h"

namespace warploop {

void bind_causal_conv1d(Arguments& args) {
  CausalConv1dParams p{};
  p.x = args.tensor();
  p.weight = args.tensor();
  p.bias = args.optional_tensor();
  p.cu_seqlens_q = args.tensor();
  p.context_lens = args.tensor();
  p.state = args.tensor();
  p.state_indices = args.tensor();
  p.out = args.tensor();
  p.activation = static_cast<ConvActivation>(args.i32());
  args.submit<OpId::causal_conv1d>(p);
}

}  // namespace warploop
