// What:      stable counting sort of the T*K (token, choice) pairs by expert
// Steps:     1. pairs per expert
//            2. first row of each expert
//            3. place the pairs in flat order
//            4. restore the offsets
// Mapping:   one thread: two passes over T*K integers (64 Ki pairs take about 0.1 ms) need no second one
// Source:    MegaBlocks, arXiv 2211.15841; Knuth, The Art of Computer Programming volume 3, 5.2, algorithm D
#include "ops/moe_permute/moe_permute.h"

#include <algorithm>

#include "core/error.h"
#include "cpu/cpu_context.h"

namespace warploop::cpu::WARPLOOP_ISA {

void moe_permute(const MoePermuteParams& p, CpuContext&) {
  const int64_t pairs = p.experts.numel(), K = p.experts.size(1), E = p.offsets.size(0) - 1;
  const int32_t* experts = p.experts.as<int32_t>();
  int32_t* order = p.order.as<int32_t>();
  int32_t* inverse = p.inverse.as<int32_t>();
  int32_t* offsets = p.offsets.as<int32_t>();

  std::fill(offsets, offsets + E + 1, 0);
  for (int64_t i = 0; i < pairs; i++) {  // 1.
    const int32_t e = experts[i];
    if (e < 0 || e >= E)
      fail_execution("experts[", i / K, ", ", i % K, "] = ", e, " is outside [0, E=", E, ")");
    offsets[e + 1]++;
  }
  for (int64_t e = 0; e < E; e++) offsets[e + 1] += offsets[e];  // 2.
  for (int64_t i = 0; i < pairs; i++) {  // 3. offsets[e] is the next free row of expert e
    const int32_t row = offsets[experts[i]]++;
    order[row] = static_cast<int32_t>(i);
    inverse[i] = row;
  }
  std::copy_backward(offsets, offsets + E,
                     offsets + E + 1);  // 4. each has run to the first row of its successor
  offsets[0] = 0;
}

}  // namespace warploop::cpu::WARPLOOP_ISA
