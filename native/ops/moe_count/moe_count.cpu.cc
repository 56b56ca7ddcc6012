// What:      counts[e] += the pairs (t, k) with experts[t, k] = e whose token has a slot
// Mapping:   one thread: a pass over T*K integers (64 Ki pairs take about 0.1 ms) needs no second one
// Source:    the definition
#include "ops/moe_count/moe_count.h"

#include "core/error.h"
#include "cpu/cpu_context.h"

namespace warploop::cpu::WARPLOOP_ISA {

void moe_count(const MoeCountParams& p, CpuContext&) {
  const int64_t T = p.experts.size(0), K = p.experts.size(1), E = p.counts.size(0);
  const int32_t* slots = p.slots.as<int32_t>();
  uint32_t* counts = p.counts.as<uint32_t>();
  for (int64_t t = 0; t < T; t++) {
    for (int64_t k = 0; k < K; k++) {
      const int32_t e = p.experts.as<int32_t>()[t * K + k];
      if (e < 0 || e >= E) fail_execution("experts[", t, ", ", k, "] = ", e, " is outside [0, E=", E, ")");
      if (!slots || slots[t] >= 0) add_wide(counts + 2 * e, 1);
    }
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
