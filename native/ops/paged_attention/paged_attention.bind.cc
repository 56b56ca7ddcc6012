#include "ops/paged_attention/paged_attention.h"
#include "bind/arguments.h"

namespace warploop {

void bind_paged_attention(Arguments& args) {
  PagedAttentionParams p{};
  p.q = args.tensor();
  p.k_pages = args.tensor();
  p.v_pages = args.tensor();
  p.page_table = args.tensor();
  p.rows = args.tensor();
  p.cu_seqlens_q = args.tensor();
  p.context_lens = args.tensor();
  p.query_offsets = args.optional_tensor();
  p.plan = args.optional_tensor();
  p.lse = args.optional_tensor();
  p.out = args.tensor();
  p.scale = args.f32();
  p.window = args.i32();
  args.submit<OpId::paged_attention>(p);
}

}  // namespace warploop
