#include "ops/paged_attention/paged_attention.h"

#include "core/attention_limits.h"
#include "core/kv_codes.h"

namespace warploop {

void check(const PagedAttentionParams& p, Check& c) {
  Sym T{"T"}, Hq{"Hq"}, Hkv{"Hkv"}, Dh{"Dh"}, Dv{"Dv"}, P{"P"}, Ps{"Ps"}, R{"R"}, Pmax{"Pmax"}, B{"B"},
      B1{"B+1"}, W{"W"}, bytes{"bytes"};
  c.tensor("q", p.q).dtype(kFloats).shape({T, Hq, Dh}).rows();
  c.tensor("kPages", p.k_pages).dtype(kPageDtypes).shape({P, Ps, Hkv, Dh}).rows();
  c.tensor("vPages", p.v_pages).same_dtype(p.k_pages, "kPages").shape({P, Ps, Hkv, Dv}).rows();
  c.tensor("pageTable", p.page_table).dtype(kI32).shape({R, Pmax}).rows();
  c.tensor("rows", p.rows).dtype(kI32).shape({B}).packed();
  c.tensor("cuSeqlensQ", p.cu_seqlens_q).dtype(kI32).shape({B1}).packed();
  c.tensor("contextLens", p.context_lens).dtype(kI32).shape({B}).packed();
  c.optional("queryOffsets", p.query_offsets).dtype(kI32).shape({B}).packed();
  c.optional("plan", p.plan).dtype(dtype_bit(DType::u8)).shape({bytes}).packed();
  c.optional("lse", p.lse).dtype(kF32).shape({T, Hq}).rows();
  c.optional("sinks", p.sinks).dtype(kF32).shape({Hq}).packed();
  c.optional("treeMask", p.tree_mask).dtype(kI32).shape({T, W}).rows();
  check_block_mask(c, p.block_mask, T, Hkv.value());
  check_scales(c, "kScales", p.k_scales, p.k_pages, P, Ps, Hkv);
  check_scales(c, "vScales", p.v_scales, p.v_pages, P, Ps, Hkv);
  c.tensor("out", p.out).dtype(kFloats).shape({T, Hq, Dv}).rows();
  check_attention_sizes(c, Hq.value(), Hkv.value(), Dh.value(), Dv.value());
  c.that(Ps.value() >= 1, "kPages", "a page size of at least 1", Ps.value());
  c.that(B.value() <= kMaxAttentionSequences, "rows", "at most 16384 sequences", B.value());
  c.that(B1.value() == B.value() + 1, "cuSeqlensQ", "one element more than rows", B1.value());
  c.that(reinterpret_cast<uintptr_t>(p.plan.data) % 16 == 0, "plan", "an address that is a multiple of 16",
         reinterpret_cast<uintptr_t>(p.plan.data));
  c.that(!p.tree_mask || !p.query_offsets, "treeMask", "no queryOffsets beside it", "both");
  check_scores(c, p.scale, p.softcap);
  c.that(p.window >= 0, "window", "0 or a positive number of keys", p.window);
  c.that(p.max_queries >= 0, "maxQueries", "0 or a positive number of queries", p.max_queries);
}

}  // namespace warploop
