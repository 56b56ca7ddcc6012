#include "ops/pack_stored/pack_stored.h"

namespace warploop {

void check(const PackStoredParams& p, Check& c) {
  check_stored("stored", p.stored, c);
  check_weight("out", p.out, c);
  c.that(p.stored.inputs == p.out.inputs, "stored", "as many inputs as out has", p.stored.inputs);
  c.that(p.out.data.size(0) == 1, "out", "one matrix", p.out.data.size(0));
  c.that(p.first_row >= 0 && p.first_row + p.stored.rows <= p.out.outputs, "stored",
         "rows inside the packed weight", p.first_row + p.stored.rows);
  if (p.out.format == WeightFormat::dense) return;
  const PackedStored packed = packed_stored(p.stored);
  c.that(p.out.format == packed.format, "out", name_of(packed.format), name_of(p.out.format));
  const FormatNumbers& numbers = p.out.numbers;
  c.that(numbers.scale == packed.scale, "out", "scales of the type that they are stored in",
         static_cast<int>(numbers.scale));
  const bool may_add_zeros = packed.offset == OffsetType::none && packed.has_zeros;
  c.that(numbers.offset == packed.offset || (numbers.offset == OffsetType::zero && may_add_zeros), "out",
         "the offsets that are stored", static_cast<int>(numbers.offset));
  if (!has_two_levels(packed.scale)) return;
  c.that(!p.stored.k_order && p.stored.first_input % kOuterGroup == 0, "stored",
         "inputs in their order from a multiple of 256 on", p.stored.first_input);
  c.that(numbers.group == p.stored.group, "out", "groups as they are stored", numbers.group);
}

}  // namespace warploop
