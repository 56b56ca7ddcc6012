#include "ops/table_scatter/table_scatter.h"

#include "bind/arguments.h"

namespace warploop {

void bind_table_scatter(Arguments& args) {
  TableScatterParams p{};
  p.table = args.tensor();
  p.rows = args.tensor();
  p.cols = args.tensor();
  p.values = args.tensor();
  args.submit<OpId::table_scatter>(p);
}

}  // namespace warploop
