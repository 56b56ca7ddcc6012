#include "ops/table_gather/table_gather.h"

namespace warploop {

void check(const TableGatherParams& p, Check& c) {
  Sym R{"R"}, L{"L"}, T{"T"};
  c.tensor("table", p.table).dtype(kI32).shape({R, L}).rows();
  c.tensor("rows", p.rows).dtype(kI32).shape({T}).packed();
  c.optional("cols", p.cols).dtype(kI32).shape({T}).packed();
  c.tensor("out", p.out).dtype(kI32);
  (p.cols ? c.shape({T}) : c.shape({L, T})).packed();
}

}  // namespace warploop
