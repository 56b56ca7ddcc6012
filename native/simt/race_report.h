// The text of a race.
#pragma once
#include <string>

#include "simt/race_state.h"

namespace warploop::simt::race {

/// "read at gemm/tiles.cuh:83 by thread 37 is not ordered after an earlier write at ... by thread 5".
std::string describe(const Races& races, const Report& report);

}  // namespace warploop::simt::race
