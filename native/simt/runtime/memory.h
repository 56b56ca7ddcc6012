// Device memory: host memory that is filled with 0xff (NaN in every float type) until it is written, and
// that ends at a page that cannot be touched.
#pragma once
#include <cstddef>

namespace warploop::simt::runtime {

/// Whether all of [p, p + bytes) lies in one allocation.
bool is_device_memory(const void* p, size_t bytes);

inline constexpr size_t kPage = 4096;

/// Bytes of the first block found that has been written behind its end, where its last page still lies; 0:
/// none. What was written is forgotten.
size_t find_written_behind();

/// Whether [begin, end of the page `guard`) of mapped device memory can be touched. AddressSanitizer sees
/// each byte, without it the page itself is closed.
void set_touchable(std::byte* begin, std::byte* guard, bool touchable);
/// Of mapped device memory, the pages from that of `p` on: as they were at first.
void poison_again(std::byte* p, size_t bytes);

}  // namespace warploop::simt::runtime
