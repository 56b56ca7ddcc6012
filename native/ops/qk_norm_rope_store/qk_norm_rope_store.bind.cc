#include "ops/qk_norm_rope_store/qk_norm_rope_store.h"
#include "bind/arguments.h"

namespace warploop {

void bind_qk_norm_rope_store(Arguments& args) {
  QkNormRopeStoreParams p{};
  p.q = args.tensor();
  p.k = args.tensor();
  p.v = args.tensor();
  p.q_weight = args.optional_tensor();
  p.k_weight = args.optional_tensor();
  p.positions = args.tensor();
  p.table = args.tensor();
  p.k_pages = args.tensor();
  p.v_pages = args.tensor();
  p.slots = args.tensor();
  p.eps = args.f32();
  args.submit<OpId::qk_norm_rope_store>(p);
}

}  // namespace warploop
