// Device memory: host memory that is filled with 0xff (NaN in every float type) until it is written.
#pragma once
#include <cstddef>

namespace warploop::simt::runtime {

/// Whether all of [p, p + bytes) lies in one allocation.
bool is_device_memory(const void* p, size_t bytes);

}  // namespace warploop::simt::runtime
