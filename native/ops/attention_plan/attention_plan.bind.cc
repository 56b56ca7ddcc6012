#include "ops/attention_plan/attention_plan.h"

#include "bind/arguments.h"

namespace warploop {

void bind_attention_plan(Arguments& args) {
  AttentionPlanParams p{};
  p.page_table = args.tensor();
  p.rows = args.tensor();
  p.cu_seqlens_q = args.tensor();
  p.context_lens = args.tensor();
  p.query_offsets = args.optional_tensor();
  p.out = args.tensor();
  p.num_queries = args.i32();
  p.num_heads = args.i32();
  p.num_kv_heads = args.i32();
  p.head_dim = args.i32();
  p.value_dim = args.i32();
  p.page_size = args.i32();
  p.window = args.i32();
  p.dtype = args.i32();
  p.kv_dtype = args.i32();
  args.submit<OpId::attention_plan>(p);
}

}  // namespace warploop
