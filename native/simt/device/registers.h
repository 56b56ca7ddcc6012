// cuda/device/registers.cuh on simt.
#pragma once
#include "simt/register_pool.h"

namespace warploop::cuda {

template <int kCount>
void set_registers_up(Site site = Site::current()) {
  static_assert(is_register_count(kCount));
  simt::set_registers(kCount, true, site);
}
template <int kCount>
void set_registers_down(Site site = Site::current()) {
  static_assert(is_register_count(kCount));
  simt::set_registers(kCount, false, site);
}

}  // namespace warploop::cuda
