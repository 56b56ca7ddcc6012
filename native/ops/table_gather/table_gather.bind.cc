#include "ops/table_gather/table_gather.h"

#include "bind/arguments.h"

namespace warploop {

void bind_table_gather(Arguments& args) {
  TableGatherParams p{};
  p.table = args.tensor();
  p.rows = args.tensor();
  p.cols = args.tensor();
  p.out = args.tensor();
  args.submit<OpId::table_gather>(p);
}

}  // namespace warploop
