#include "ops/flash_attention/flash_attention.h"
#include "bind/arguments.h"

namespace warploop {

void bind_flash_attention(Arguments& args) {
  FlashAttentionParams p{};
  p.q = args.tensor();
  p.k = args.tensor();
  p.v = args.tensor();
  p.cu_seqlens_q = args.optional_tensor();
  p.cu_seqlens_k = args.optional_tensor();
  p.lse = args.optional_tensor();
  p.out = args.tensor();
  p.scale = args.f32();
  p.window = args.i32();
  p.causal = args.flag();
  args.submit<OpId::flash_attention>(p);
}

}  // namespace warploop
