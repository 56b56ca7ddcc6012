// Adds up how many tokens went to each expert, over any number of calls.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct MoeCountParams {
  TensorView experts;  // [T, K], i32, packed; each in [0, E)
  TensorView slots;    // [T], i32, packed; optional: tokens with -1 (padding) do not count
  TensorView counts;   // [E, 2], i32, packed: numbers of 64 bits, the low half first; read and written
};

/// As TypeScript passes them.
inline auto fields(MoeCountParams& p) { return in_order(p.experts, optional(p.slots), p.counts); }

/// counts[0..1] += more
constexpr void add_wide(uint32_t* count, uint32_t more) {
  const uint32_t low = count[0] + more;
  count[1] += low < more ? 1 : 0;
  count[0] = low;
}

void check(const MoeCountParams& p, Check& c);

}  // namespace warploop
