// What:      table[rows[n], cols[n]] = values[n]; entries with row -1 are skipped
// Mapping:   one thread, in order: a step writes a few entries per sequence. Of entries that name one cell,
//            which callers avoid, the last one wins.
// Source:    the definition
#include "ops/table_scatter/table_scatter.h"

#include "core/error.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

void table_scatter(const TableScatterParams& p, CpuContext&) {
  const int64_t R = p.table.size(0), L = p.table.size(1), N = p.rows.size(0);
  const int32_t *rows = p.rows.as<int32_t>(), *cols = p.cols.as<int32_t>(), *values = p.values.as<int32_t>();
  for (int64_t n = 0; n < N; n++) {
    const int64_t row = rows[n], col = cols[n];
    if (row == -1) continue;
    if (row < 0 || row >= R) fail_execution("rows[", n, "] = ", row, " is outside [0, R=", R, ")");
    if (col < 0 || col >= L) fail_execution("cols[", n, "] = ", col, " is outside [0, L=", L, ")");
    row_at<int32_t>(p.table, row)[col] = values[n];
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
