#include "ops/moe_route/moe_route.h"
#include "bind/arguments.h"

namespace warploop {

void bind_moe_route(Arguments& args) {
  MoeRouteParams p{};
  p.logits = args.tensor();
  p.bias = args.optional_tensor();
  p.weights = args.tensor();
  p.experts = args.tensor();
  p.scores = static_cast<MoeScores>(args.i32());
  p.renormalize = args.flag();
  p.scale = args.f32();
  p.groups = args.i32();
  p.top_groups = args.i32();
  args.submit<OpId::moe_route>(p);
}

}  // namespace warploop
