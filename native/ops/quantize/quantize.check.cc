#include "ops/quantize/quantize.h"

namespace warploop {

void check(const QuantizeParams& p, Check& c) {
  const StoredView& s = p.stored;
  c.tensor("x", p.x).dtype(kFloats);
  c.that(p.x.rank >= 2, "x", "rows of inputs", p.x.rank);
  c.that(p.rows() == s.stored_rows && p.inputs() == s.stored_inputs, "x",
         "as many rows and inputs as those of stored", p.rows());
  c.that(s.format == StoredFormat::int8 || s.format == StoredFormat::fp8 || s.format == StoredFormat::packed4,
         "stored", "int8, fp8 or packed4", static_cast<int>(s.format));
  check_stored("stored", s, c);
  const bool is_whole = s.first_row == 0 && s.rows == s.stored_rows && s.first_input == 0 &&
                        s.inputs == s.stored_inputs && s.scale_rows == 1;
  c.that(is_whole && !s.zeros && !s.row_order && !s.k_order && !s.g_idx, "stored",
         "a whole matrix with scales of its own for each row, without zero points and orders", "another");
  c.tensor("stored.scales", s.scales).dtype(kF32 | dtype_bit(DType::bf16));
  c.that(s.group % 8 == 0, "stored", "groups of a multiple of 8", s.group);
}

}  // namespace warploop
