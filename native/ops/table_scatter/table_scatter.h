// Writes cells of an i32 table in place.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct TableScatterParams {
  TensorView table;   // [R, L], i32, rows strided; written in place
  TensorView rows;    // [N], i32, packed; each in [0, R), verified when the op runs; -1 skips the entry
  TensorView cols;    // [N], i32, packed; each in [0, L), verified when the op runs unless the row is -1
  TensorView values;  // [N], i32, packed
};

/// As TypeScript passes them.
inline auto fields(TableScatterParams& p) { return in_order(p.table, p.rows, p.cols, p.values); }

void check(const TableScatterParams& p, Check& c);

}  // namespace warploop
