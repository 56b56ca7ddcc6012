#include "ops/attention_plan/attention_plan.h"

#include "core/attention_limits.h"
#include "core/kv_codes.h"

namespace warploop {

void check(const AttentionPlanParams& p, Check& c) {
  Sym R{"R"}, Pmax{"Pmax"}, B{"B"}, B1{"B+1"}, bytes{"bytes"};
  c.tensor("pageTable", p.page_table).dtype(kI32).shape({R, Pmax}).rows();
  c.tensor("rows", p.rows).dtype(kI32).shape({B}).packed();
  c.tensor("cuSeqlensQ", p.cu_seqlens_q).dtype(kI32).shape({B1}).packed();
  c.tensor("contextLens", p.context_lens).dtype(kI32).shape({B}).packed();
  c.optional("queryOffsets", p.query_offsets).dtype(kI32).shape({B}).packed();
  c.tensor("out", p.out).dtype(dtype_bit(DType::u8)).shape({bytes}).packed();
  c.that(reinterpret_cast<uintptr_t>(p.out.data) % 16 == 0, "out", "an address that is a multiple of 16",
         reinterpret_cast<uintptr_t>(p.out.data));
  c.that(B.value() <= kMaxAttentionSequences, "rows", "at most 16384 sequences", B.value());
  c.that(B1.value() == B.value() + 1, "cuSeqlensQ", "one element more than rows", B1.value());
  c.that(p.num_queries >= 0 && p.num_queries <= kMaxAxis, "numQueries", "a size of a tensor", p.num_queries);
  c.that(p.page_size >= 1, "pageSize", "a page size of at least 1", p.page_size);
  c.that(p.window >= 0, "window", "0 or a positive number of keys", p.window);
  c.that(p.max_queries >= 0, "maxQueries", "0 or a positive number of queries", p.max_queries);
  if (p.latent == 0) {
    check_attention_sizes(c, p.num_heads, p.num_kv_heads, p.head_dim, p.value_dim,
                          {"numHeads", "headDim", "valueDim"});
  } else {
    check_latent_sizes(c, p.head_dim, p.latent, "headDim", "latent");
    c.that(p.num_kv_heads == 1, "numKvHeads", "1, which all heads of latents share", p.num_kv_heads);
    c.that(p.value_dim == p.latent, "valueDim", "as latent, or left out", p.value_dim);
  }
  const auto is_one_of = [](unsigned allowed, int32_t dtype) {
    return dtype >= 0 && dtype < kDTypeCount && (allowed & dtype_bit(static_cast<DType>(dtype))) != 0;
  };
  c.that(is_one_of(kFloats, p.dtype), "dtype", "f32, bf16 or f16", p.dtype);
  c.that(is_one_of(kPageDtypes, p.kv_dtype), "kvDtype", "f32, bf16, f16, i8 or fp8e4m3", p.kv_dtype);
}

}  // namespace warploop
