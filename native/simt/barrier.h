// The barriers of a block.
#pragma once
#include "simt/model.h"

namespace warploop::simt {

inline constexpr int kWholeBlock = 0;  // instead of a number of threads

/// bar.sync. `threads`: how many come until it opens, or kWholeBlock. All lanes of a warp come together.
void wait_at_barrier(int id, int threads, const char* operation, Site site);
/// bar.arrive.
void arrive_at_barrier(int id, int threads, const char* operation, Site site);

}  // namespace warploop::simt
