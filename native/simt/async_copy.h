// cp.async.
#pragma once
#include <cstdint>

#include "simt/site.h"

namespace warploop::simt {

/// Starts to copy `bytes` from global memory to the shared address `target`, both aligned to `bytes`;
/// `source` null: zeros.
void start_copy(uint32_t target, const void* source, uint32_t bytes, Site site);
void close_copy_group();
void wait_for_copies(uint32_t groups_left);

}  // namespace warploop::simt
