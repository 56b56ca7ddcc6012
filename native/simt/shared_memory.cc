#include "simt/shared_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "simt/diagnostics.h"
#include "simt/model.h"

#if defined(__SANITIZE_ADDRESS__)
#define WARPLOOP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WARPLOOP_ASAN 1
#endif
#endif
#ifdef WARPLOOP_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace warploop::simt {
namespace {

constexpr size_t kMappingBytes = 256 << 10;
constexpr size_t kGuardBytes = 64 << 10;
constexpr size_t kCanaryBytes = 512;  // behind the usable bytes; ASan guards all of the rest instead
constexpr std::byte kPoison{0xff};
static_assert(kSharedBase + kMaxSharedBytes + kCanaryBytes <= kMappingBytes);

uint32_t offset_of(uint32_t address) { return address & ((1u << kRankShift) - 1); }

}  // namespace

SharedMemory::SharedMemory() {
  void* memory = mmap(nullptr, kMappingBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  std::byte* mapping = static_cast<std::byte*>(memory);
  if (mprotect(mapping + kMappingBytes, kGuardBytes, PROT_NONE) != 0) {
    munmap(mapping, kMappingBytes + kGuardBytes);
    throw std::bad_alloc();
  }
  data_ = mapping + kSharedBase;
}

SharedMemory::~SharedMemory() {
#ifdef WARPLOOP_ASAN
  __asan_unpoison_memory_region(data_, kMappingBytes - kSharedBase);
#endif
  munmap(data_ - kSharedBase, kMappingBytes + kGuardBytes);
}

void SharedMemory::open(size_t bytes, bool poison) {
  bytes_ = bytes;
#ifdef WARPLOOP_ASAN
  __asan_unpoison_memory_region(data_, kMappingBytes - kSharedBase);
#endif
  if (poison) std::fill_n(data_, bytes, kPoison);
  std::fill_n(data_ + bytes, kCanaryBytes, kPoison);
#ifdef WARPLOOP_ASAN
  __asan_poison_memory_region(data_ + bytes, kMappingBytes - kSharedBase - bytes);
#endif
}

bool SharedMemory::intact() const {
#ifdef WARPLOOP_ASAN
  return true;
#else
  return std::all_of(data_ + bytes_, data_ + bytes_ + kCanaryBytes, [](std::byte b) { return b == kPoison; });
#endif
}

bool SharedMemory::holds(const void* p) const {
  const std::byte* byte = static_cast<const std::byte*>(p);
  return byte >= data_ && byte < data_ + kMappingBytes - kSharedBase;
}

Block& owner_of(uint32_t address, const char* operation, Site site) {
  const uint32_t rank = address >> kRankShift;
  if (Block& own = self_block(); rank == static_cast<uint32_t>(own.rank)) return own;
  const Cluster& cluster = *self_block().cluster;
  if (rank >= cluster.blocks.size()) {
    fail(operation, site, "shared address ", hex(address), " names block ", rank, " of a cluster of ",
         cluster.blocks.size());
  }
  return *cluster.blocks[rank];
}

std::byte* shared_pointer(uint32_t address, size_t bytes, size_t alignment, const char* operation,
                          Site site) {
  const SharedMemory& shared = owner_of(address, operation, site).shared;
  const size_t offset = offset_of(address);
  if (offset < kSharedBase || offset - kSharedBase + bytes > shared.bytes()) {
    fail(operation, site, "[", hex(address), ", + ", bytes, ") is not in the block's ", shared.bytes(),
         " bytes of shared memory, which start at ", hex(kSharedBase));
  }
  if (address % alignment != 0) {
    fail(operation, site, "shared address ", hex(address), " is not a multiple of ", alignment);
  }
  return shared.data() + (offset - kSharedBase);
}

uint32_t shared_address_of(const void* p, Site site) {
  const auto address_in = [p](const Block& block) {
    const ptrdiff_t offset = static_cast<const std::byte*>(p) - block.shared.data();
    return (static_cast<uint32_t>(block.rank) << kRankShift) + kSharedBase + static_cast<uint32_t>(offset);
  };
  if (const Block& own = self_block(); own.shared.holds(p)) return address_in(own);
  for (const auto& block : self_block().cluster->blocks) {
    if (block->shared.holds(p)) return address_in(*block);
  }
  fail("shared_address", site, p, " is not in shared memory");
}

void* shared_plan_data(size_t bytes, Site site) {
  const SharedMemory& shared = self_block().shared;
  if (bytes > shared.bytes()) {
    fail("shared_plan", site, "the plan has ", bytes, " bytes, the launch reserved ", shared.bytes());
  }
  return shared.data();
}

}  // namespace warploop::simt
