// What a matcher asks of the three fields of core/swiglu.h.
#pragma once
#include <cmath>

#include "core/check.h"

namespace warploop {

/// The numbers cross the boundary in any case, and mean something only where it is clamped.
template <class Params>
void check_swiglu(const Params& p, Check& c) {
  if (!p.clamped) return;
  c.that(p.limit > 0 && std::isfinite(p.limit), "clamp.limit", "a positive number", p.limit);
  c.that(p.alpha > 0 && std::isfinite(p.alpha), "clamp.alpha", "a positive number", p.alpha);
}

}  // namespace warploop
