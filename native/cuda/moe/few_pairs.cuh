// The (token, choice) pairs of a small batch, grouped by expert by one block: the row of a pair is the number
// of pairs before it, counted one by one. What moe_permute does for few pairs, and moe_route behind its
// routing.
#pragma once
#include <cstdint>
#include <limits>

#include "cuda/device/block.cuh"

namespace warploop::cuda {

inline constexpr int kFewPairs = 512;
inline constexpr int32_t kNoExpert = std::numeric_limits<int32_t>::max();

struct FewPlan {
  int32_t experts[kFewPairs];  // of each pair; kNoExpert: it has no row
};

/// After plan.experts has been written; a whole block. Sizes as in MoePermuteParams.
WARPLOOP_DEVICE void place_few(const FewPlan& plan, int pairs, int32_t num_experts, int32_t* order,
                               int32_t* inverse, int32_t* offsets) {
  sync_block();
  for (int pair = static_cast<int>(threadIdx.x); pair < pairs; pair += static_cast<int>(blockDim.x)) {
    const int32_t own = plan.experts[pair];
    if (own == kNoExpert) continue;
    int row = 0;
    for (int i = 0; i < pairs; i++) row += plan.experts[i] < own || (plan.experts[i] == own && i < pair);
    order[row] = pair;
    inverse[pair] = row;
  }
  for (int64_t e = threadIdx.x; e <= num_experts; e += blockDim.x) {
    int before = 0;
    for (int i = 0; i < pairs; i++) before += plan.experts[i] < e;
    offsets[e] = before;
  }
}

}  // namespace warploop::cuda
