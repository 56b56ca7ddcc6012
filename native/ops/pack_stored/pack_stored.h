// Brings rows of a weight that a checkpoint stores as codes into the format that products read, dense or of
// codes. Runs at load, once for each part of a weight: what belongs to other parts stays as it is.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "formats/formats.h"

namespace warploop {

struct PackStoredParams {
  StoredView stored;  // n rows and K inputs of a stored matrix
  WeightView out;     // one matrix [N, K]; of codes as `stored` has them, or dense
  int32_t first_row;  // the rows are [first_row, first_row + n) of the matrix

  constexpr PartOfWeight part() const { return {out.outputs, first_row, stored.rows, out.swiglu}; }
};

/// As TypeScript passes them.
inline auto fields(PackStoredParams& p) { return in_order(p.stored, p.out, p.first_row); }

void check(const PackStoredParams& p, Check& c);

}  // namespace warploop
