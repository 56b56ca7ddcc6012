// The shared memory of a block. Its 32-bit addresses look like those of an sm_90: the rank of the block in
// its cluster in bits 24 and up, then an offset that starts at 1024 (the first KB belongs to the system).
#pragma once
#include <cstddef>
#include <cstdint>

#include "simt/site.h"

namespace warploop::simt {

struct Block;

inline constexpr uint32_t kSharedBase = 1024;
inline constexpr size_t kMaxSharedBytes = 227 << 10;
inline constexpr size_t kReservedBytes = 1 << 10;  // that a multiprocessor keeps for each block
inline constexpr int kRankShift = 24;

class SharedMemory {
 public:
  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /// Makes `bytes` of it usable, with undefined contents: 0xff where `poison`.
  void open(size_t bytes, bool poison);
  /// False: somebody wrote behind the usable bytes.
  bool intact() const;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  /// True for a generic address within the mapping, usable or not.
  bool holds(const void* p) const;

 private:
  std::byte* data_;  // aligned to 1024, not to 2048: as kSharedBase is
  size_t bytes_ = 0;
};

/// The generic address of [address, address + bytes), which has to lie in the shared memory of the calling
/// thread's cluster and be aligned to `alignment`; fails otherwise.
std::byte* shared_pointer(uint32_t address, size_t bytes, size_t alignment, const char* operation, Site site);
/// The reverse, for memory of the calling thread's cluster.
uint32_t shared_address_of(const void* p, Site site);
/// The block in whose shared memory the address lies.
Block& owner_of(uint32_t address, const char* operation, Site site);
/// The plan of the calling thread's block, after a check of its size.
void* shared_plan_data(size_t bytes, Site site);

}  // namespace warploop::simt
