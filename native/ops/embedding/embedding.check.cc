#include "ops/embedding/embedding.h"

namespace warploop {

void check(const EmbeddingParams& p, Check& c) {
  Sym T{"T"}, V{"V"}, D{"D"};
  c.tensor("ids", p.ids).dtype(kI32).shape({T}).packed();
  c.tensor("table", p.table).dtype(kFloats).shape({V, D}).rows();
  c.tensor("out", p.out).dtype(kFloats).shape({T, D}).rows();
}

}  // namespace warploop
