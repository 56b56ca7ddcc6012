#include "ops/table_scatter/table_scatter.h"

namespace warploop {

void check(const TableScatterParams& p, Check& c) {
  Sym R{"R"}, L{"L"}, N{"N"};
  c.tensor("table", p.table).dtype(kI32).shape({R, L}).rows();
  c.tensor("rows", p.rows).dtype(kI32).shape({N}).packed();
  c.tensor("cols", p.cols).dtype(kI32).shape({N}).packed();
  c.tensor("values", p.values).dtype(kI32).shape({N}).packed();
}

}  // namespace warploop
