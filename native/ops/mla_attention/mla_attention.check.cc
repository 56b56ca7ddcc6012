#include "ops/mla_attention/mla_attention.h"

#include "core/attention_limits.h"
#include "core/kv_codes.h"

namespace warploop {

void check(const MlaAttentionParams& p, Check& c) {
  Sym T{"T"}, Hq{"Hq"}, D{"R+Dr"}, latent{"R"}, P{"P"}, Ps{"Ps"}, slots{"slots"}, Pmax{"Pmax"}, B{"B"},
      B1{"B+1"}, bytes{"bytes"}, K{"topK"}, Dr{"Dr"};
  const bool are_codes = is_code(p.latent_pages.dtype);
  c.tensor("q", p.q).dtype(kFloats).shape({T, Hq, D}).rows();
  c.tensor("latentPages", p.latent_pages).dtype(kPageDtypes).shape({P, Ps, are_codes ? latent : D}).rows();
  c.that(!are_codes || latent.value() == p.latent, "latentPages", "codes of the width R that latent says",
         latent.value());
  c.tensor("pageTable", p.page_table).dtype(kI32).shape({slots, Pmax}).rows();
  c.tensor("rows", p.rows).dtype(kI32).shape({B}).packed();
  c.tensor("cuSeqlensQ", p.cu_seqlens_q).dtype(kI32).shape({B1}).packed();
  c.tensor("contextLens", p.context_lens).dtype(kI32).shape({B}).packed();
  c.optional("queryOffsets", p.query_offsets).dtype(kI32).shape({B}).packed();
  c.optional("plan", p.plan).dtype(dtype_bit(DType::u8)).shape({bytes}).packed();
  c.optional("indices", p.indices).dtype(kI32).shape({T, K}).rows();
  c.optional("lse", p.lse).dtype(kF32).shape({T, Hq}).rows();
  c.tensor("out", p.out).dtype(kFloats).shape({T, Hq, latent}).rows();
  check_latent_sizes(c, D.value(), p.latent, "latentPages", "latent");
  c.that(latent.value() == p.latent, "out", "the width R that latent says", latent.value());
  check_scales(c, "latentScales", p.latent_scales, p.latent_pages, P, Ps, latent_groups(p.latent));
  c.optional("rotatedPages", p.rotated_pages).dtype(kFloats).shape({P, Ps, Dr}).rows();
  c.that(are_codes || !p.rotated_pages, "rotatedPages", "none, because the pages hold no codes", "a tensor");
  c.that(!are_codes || p.rotated_pages, "rotatedPages", "a tensor, because the pages hold codes", "none");
  c.that(!p.rotated_pages || Dr.value() == D.value() - p.latent, "rotatedPages",
         "the columns of q behind those of a latent, Dr", Dr.value());
  c.that(Hq.value() >= 1, "q", "at least one head", Hq.value());
  c.that(Ps.value() >= 1, "latentPages", "a page size of at least 1", Ps.value());
  c.that(B.value() <= kMaxAttentionSequences, "rows", "at most 16384 sequences", B.value());
  c.that(B1.value() == B.value() + 1, "cuSeqlensQ", "one element more than rows", B1.value());
  c.that(reinterpret_cast<uintptr_t>(p.plan.data) % 16 == 0, "plan", "an address that is a multiple of 16",
         reinterpret_cast<uintptr_t>(p.plan.data));
  c.that(!p.indices || p.indices.size(1) >= 1, "indices", "at least one column", p.indices.size(1));
  c.that(!p.indices || !p.plan, "plan", "none: attention over chosen tokens makes its own", p.plan.size(0));
  check_scores(c, p.scale, 0);
  c.that(p.max_queries >= 0, "maxQueries", "0 or a positive number of queries", p.max_queries);
}

}  // namespace warploop
