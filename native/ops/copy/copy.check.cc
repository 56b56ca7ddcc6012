#include "ops/copy/copy.h"

namespace warploop {

void check(const CopyParams& p, Check& c) {
  constexpr unsigned kWholeBytes = ((1u << kDTypeCount) - 1) & ~dtype_bit(DType::i4);
  c.tensor("src", p.src).dtype(kWholeBytes).rows();
  c.tensor("dst", p.dst).same_dtype(p.src, "src").like(p.src, "src").rows();
}

}  // namespace warploop
