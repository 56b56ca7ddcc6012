// cuda/device/predecessors.cuh on simt: kernels run one after another, but none may touch global memory
// before it has waited for those before it, nor end without having waited. Every emulated instruction looks
// here; the race checker does for plain accesses.
#pragma once
#include "simt/model.h"

namespace warploop::simt {

inline void wait_for_predecessors() { self().waited = true; }

/// Fails if [p, ...) is global memory, which is accessed too early.
void check_early_access(const char* operation, const void* p, Site site);

/// The calling thread accesses memory, global or not.
inline void accesses_memory(const char* operation, const void* p, Site site) {
  if (!self().waited) [[unlikely]]
    check_early_access(operation, p, site);
}

}  // namespace warploop::simt
