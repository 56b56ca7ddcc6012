#include "ops/embedding/embedding.h"

#include "formats/formats.h"

namespace warploop {

void check(const EmbeddingParams& p, Check& c) {
  Sym T{"T"}, V{"V"}, D{"D"};
  c.tensor("ids", p.ids).dtype(kI32).shape({T}).packed();
  if (p.weight.data) {
    check_weight("table", p.weight, c);
    c.that(p.weight.data.size(0) == 1, "table", "one matrix", p.weight.data.size(0));
    c.that(!p.weight.swiglu, "table", "a weight packed without swiglu", "one of gate and up");
    D = Sym("D", p.weight.inputs, "table", 1);
  } else {
    c.tensor("table", p.table).dtype(kFloats).shape({V, D}).rows();
  }
  c.tensor("out", p.out).dtype(kFloats).shape({T, D}).rows();
}

}  // namespace warploop
