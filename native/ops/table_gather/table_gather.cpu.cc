// What:      out[t] = table[rows[t], cols[t]], without cols out[l, t] = table[rows[t], l]; 0 where rows[t] is
//            -1
// Mapping:   the rows that are read are dealt to threads
// Source:    the definition
#include "ops/table_gather/table_gather.h"

#include "core/error.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

void table_gather(const TableGatherParams& p, CpuContext& context) {
  const int64_t R = p.table.size(0), L = p.table.size(1), T = p.rows.size(0);
  const int32_t *rows = p.rows.as<int32_t>(), *cols = p.cols.as<int32_t>();
  int32_t* out = p.out.as<int32_t>();
  for_rows(context, T, cols ? 1 : L, [&](int64_t t) {
    const int64_t row = rows[t];
    if (row < -1 || row >= R) fail_execution("rows[", t, "] = ", row, " is outside [0, R=", R, ")");
    if (!cols) {
      for (int64_t l = 0; l < L; l++) out[l * T + t] = row == -1 ? 0 : row_at<int32_t>(p.table, row)[l];
      return;
    }
    if (row == -1) {
      out[t] = 0;
      return;
    }
    const int64_t col = cols[t];
    if (col < 0 || col >= L) fail_execution("cols[", t, "] = ", col, " is outside [0, L=", L, ")");
    out[t] = row_at<int32_t>(p.table, row)[col];
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
