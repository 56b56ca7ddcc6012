// cuda/device/async_copy.cuh on simt.
#pragma once
#include "simt/async_copy.h"

namespace warploop::cuda {

inline void copy_async_16(uint32_t shared, const void* global, bool valid = true,
                          Site site = Site::current()) {
  simt::start_copy(shared, valid ? global : nullptr, 16, site);
}
inline void copy_async_4(uint32_t shared, const void* global, bool valid = true,
                         Site site = Site::current()) {
  simt::start_copy(shared, valid ? global : nullptr, 4, site);
}
inline void copy_async_commit() { simt::close_copy_group(); }
template <int kPending>
void copy_async_wait() {
  simt::wait_for_copies(kPending);
}

}  // namespace warploop::cuda
