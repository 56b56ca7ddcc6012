#include <cmath>

#include "core/attention_limits.h"
#include "ops/indexer_top_k/indexer_top_k.h"

namespace warploop {

void check(const IndexerTopKParams& p, Check& c) {
  Sym T{"T"}, Hi{"Hi"}, Di{"Di"}, P{"P"}, Ps{"Ps"}, R{"R"}, Pmax{"Pmax"}, B{"B"}, B1{"B+1"}, K{"topK"};
  c.tensor("q", p.q).dtype(kFloats).shape({T, Hi, Di}).rows();
  c.tensor("weights", p.weights).dtype(kF32).shape({T, Hi}).rows();
  c.tensor("keyPages", p.key_pages).dtype(kFloats).shape({P, Ps, Di}).rows();
  c.tensor("pageTable", p.page_table).dtype(kI32).shape({R, Pmax}).rows();
  c.tensor("rows", p.rows).dtype(kI32).shape({B}).packed();
  c.tensor("cuSeqlensQ", p.cu_seqlens_q).dtype(kI32).shape({B1}).packed();
  c.tensor("contextLens", p.context_lens).dtype(kI32).shape({B}).packed();
  c.tensor("out", p.out).dtype(kI32).shape({T, K}).rows();
  c.that(Hi.value() >= 1 && Hi.value() <= kMaxIndexHeads, "q", "1 to 128 heads Hi", Hi.value());
  c.that(Di.value() >= 16 && Di.value() <= kMaxIndexWidth && Di.value() % 16 == 0, "q",
         "a head width Di that is a multiple of 16, 16 to 256", Di.value());
  c.that(Ps.value() >= 1, "keyPages", "a page size of at least 1", Ps.value());
  c.that(B.value() <= kMaxAttentionSequences, "rows", "at most 16384 sequences", B.value());
  c.that(B1.value() == B.value() + 1, "cuSeqlensQ", "one element more than rows", B1.value());
  c.that(p.top_k >= 1 && p.top_k <= kMaxTopK, "topK", "1 to 4096", p.top_k);
  c.that(K.value() == p.top_k, "out", "topK columns", K.value());
  c.that(std::isfinite(p.scale), "scale", "a finite number", p.scale);
}

}  // namespace warploop
