// Cells of an i32 table.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct TableGatherParams {
  TensorView table;  // [R, L], i32, rows strided
  TensorView rows;   // [T], i32, packed; each in [0, R), verified when the op runs; -1 gives 0
  TensorView
      cols;  // [T], i32, packed; each in [0, L), verified when the op runs unless the row is -1; optional
  TensorView out;  // [T], i32, packed; may be rows or cols; without cols [L, T], every column of the rows
};

/// As TypeScript passes them.
inline auto fields(TableGatherParams& p) { return in_order(p.table, p.rows, optional(p.cols), p.out); }

void check(const TableGatherParams& p, Check& c);

}  // namespace warploop
