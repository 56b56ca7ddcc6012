#include "ops/flash_attention/flash_attention.h"

#include "core/attention_limits.h"

namespace warploop {

void check(const FlashAttentionParams& p, Check& c) {
  Sym T{"T"}, S{"S"}, Hq{"Hq"}, Hkv{"Hkv"}, Dh{"Dh"}, Dv{"Dv"}, B1{"B+1"}, W{"W"};
  c.tensor("q", p.q).dtype(kFloats).shape({T, Hq, Dh}).rows();
  c.tensor("k", p.k).dtype(kFloats).shape({S, Hkv, Dh}).rows();
  c.tensor("v", p.v).same_dtype(p.k, "k").shape({S, Hkv, Dv}).rows();
  c.optional("cuSeqlensQ", p.cu_seqlens_q).dtype(kI32).shape({B1}).packed();
  c.optional("cuSeqlensK", p.cu_seqlens_k).dtype(kI32).shape({B1}).packed();
  c.optional("lse", p.lse).dtype(kF32).shape({T, Hq}).rows();
  c.optional("sinks", p.sinks).dtype(kF32).shape({Hq}).packed();
  c.optional("treeMask", p.tree_mask).dtype(kI32).shape({T, W}).rows();
  check_block_mask(c, p.block_mask, T, Hkv.value());
  c.tensor("out", p.out).dtype(kFloats).shape({T, Hq, Dv}).rows();
  check_attention_sizes(c, Hq.value(), Hkv.value(), Dh.value(), Dv.value());
  c.that(bool(p.cu_seqlens_q) == bool(p.cu_seqlens_k), "cuSeqlensK",
         "both cuSeqlensQ and cuSeqlensK, or neither", "one");
  c.that(!p.cu_seqlens_q || (B1.value() >= 1 && B1.value() <= kMaxAttentionSequences + 1), "cuSeqlensQ",
         "1 to 16385 elements", B1.value());
  check_scores(c, p.scale, p.softcap);
  c.that(p.window >= 0, "window", "0 or a positive number of keys", p.window);
}

}  // namespace warploop
