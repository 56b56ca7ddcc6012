#include "simt/runtime/memory.h"

#include <sys/mman.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "core/error.h"
#include "simt/runtime/context.h"

namespace warploop::simt::runtime {

namespace {

constexpr size_t kAlign = 256;  // as cudaMalloc promises
// Blocks of so many bytes have pages of their own, taken when they are touched; an access behind their end
// faults.
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kMapped = 1u << 20;  // AddressSanitizer knows the end of others to the byte
#else
constexpr size_t kMapped = 0;  // the race checker keeps pages, too
#endif
constexpr size_t kPoisonBytes = 16u << 20;
constexpr size_t kDefaultMemory = 16ull << 30;

struct Block {
  size_t bytes;
  size_t mapped_bytes;  // 0: from the heap

  /// Between its end and that of its last page, if it is mapped.
  size_t bytes_behind() const { return mapped_bytes == 0 ? 0 : (kAlign - bytes % kAlign) % kAlign; }
};

// Guarded by the context's lock.
std::map<const std::byte*, Block> device_blocks;
std::map<const std::byte*, size_t> pinned_blocks;
size_t used_bytes = 0;

#ifdef __SANITIZE_ADDRESS__
/// What has been made untouchable. Only that is undone when a block ends: to clear what AddressSanitizer
/// keeps of all of a sparse block would take an eighth of its size, for good.
std::map<std::byte*, size_t> untouchable;
std::mutex untouchable_mutex;

void make_touchable(std::byte* begin, size_t bytes) {
  std::lock_guard lock(untouchable_mutex);
  auto region = untouchable.lower_bound(begin);
  while (region != untouchable.end() && region->first < begin + bytes) {
    __asan_unpoison_memory_region(region->first, region->second);
    region = untouchable.erase(region);
  }
}
void make_untouchable(std::byte* begin, size_t bytes) {
  std::lock_guard lock(untouchable_mutex);
  __asan_poison_memory_region(begin, bytes);
  untouchable[begin] = bytes;
}
#endif

/// WARPLOOP_SIMT_MEMORY in bytes; asked anew each time, so that a test can change it.
size_t memory_size() {
  const char* text = std::getenv("WARPLOOP_SIMT_MEMORY");
  return text && *text ? std::strtoull(text, nullptr, 10) : kDefaultMemory;
}

/// A file of 0xff bytes. Memory that maps it privately is poisoned, and costs nothing until it is written.
int poison_file() {
  static const int file = [] {
    const int fd = memfd_create("warploop-poison", MFD_CLOEXEC);
    const std::unique_ptr<char[]> poison(new char[kPoisonBytes]);
    std::memset(poison.get(), 0xff, kPoisonBytes);
    if (fd < 0 || write(fd, poison.get(), kPoisonBytes) != static_cast<ssize_t>(kPoisonBytes)) return -1;
    return fd;
  }();
  return file;
}

/// Ends at a page that cannot be touched. Null: the system gives no more.
std::byte* map_poison(size_t bytes, size_t& mapped_bytes) {
  const size_t rounded = (bytes + kPage - 1) / kPage * kPage;
  mapped_bytes = rounded + kPage;
  void* area = mmap(nullptr, mapped_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) return nullptr;
  for (size_t at = 0; at < rounded; at += kPoisonBytes) {
    const size_t piece = std::min(kPoisonBytes, rounded - at);
    void* part = mmap(static_cast<std::byte*>(area) + at, piece, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, poison_file(), 0);
    if (part == MAP_FAILED) {
      munmap(area, mapped_bytes);
      return nullptr;
    }
  }
  // The end of the block, up to its alignment, is the end of the pages: what comes after it faults.
  return static_cast<std::byte*>(area) + (rounded - (bytes + kAlign - 1) / kAlign * kAlign);
}

/// Exact to the byte, so that AddressSanitizer sees what is behind the end.
std::byte* allocate_poison(size_t bytes) {
  void* p = nullptr;
  if (posix_memalign(&p, kAlign, bytes) != 0) return nullptr;
  std::memset(p, 0xff, bytes);
  return static_cast<std::byte*>(p);
}

bool inside(const std::map<const std::byte*, Block>& blocks, const void* p, size_t bytes) {
  const auto* first = static_cast<const std::byte*>(p);
  auto block = blocks.upper_bound(first);
  if (block == blocks.begin()) return false;
  --block;
  const size_t offset = static_cast<size_t>(first - block->first);
  return offset <= block->second.bytes && bytes <= block->second.bytes - offset;
}

bool is_pinned(const void* p, size_t bytes) {
  const auto* first = static_cast<const std::byte*>(p);
  auto block = pinned_blocks.upper_bound(first);
  if (block == pinned_blocks.begin()) return false;
  --block;
  return static_cast<size_t>(first - block->first) + bytes <= block->second;
}

}  // namespace

bool is_device_memory(const void* p, size_t bytes) {
  std::lock_guard lock(context().mutex);
  return inside(device_blocks, p, bytes);
}

size_t find_written_behind() {
  constexpr std::byte kPoison{0xff};
  std::lock_guard lock(context().mutex);
  for (const auto& [data, block] : device_blocks) {
    auto* behind = const_cast<std::byte*>(data) + block.bytes;
    const size_t count = block.bytes_behind();
    if (std::all_of(behind, behind + count, [=](std::byte b) { return b == kPoison; })) continue;
    std::fill_n(behind, count, kPoison);
    return block.bytes;
  }
  return 0;
}

void set_touchable(std::byte* begin, std::byte* guard, bool touchable) {
#ifdef __SANITIZE_ADDRESS__
  const auto bytes = static_cast<size_t>(guard + kPage - begin);
  touchable ? make_touchable(begin, bytes) : make_untouchable(begin, bytes);
#else
  static_cast<void>(begin);
  if (mprotect(guard, kPage, touchable ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
    fail_execution("simt: the system protects no more pages");
#endif
}

void poison_again(std::byte* p, size_t bytes) {
  const size_t before = reinterpret_cast<uintptr_t>(p) % kPage;
  madvise(p - before, before + bytes, MADV_DONTNEED);
}

}  // namespace warploop::simt::runtime

using namespace warploop::simt::runtime;

cudaError_t cudaMalloc(void** p, size_t bytes) {
  *p = nullptr;
  if (fault_so_far()) return fault_so_far();
  std::lock_guard lock(context().mutex);
  const size_t total = memory_size();
  if (bytes > total || used_bytes > total - bytes) return finish(cudaErrorMemoryAllocation);
  Block block{bytes, 0};
  std::byte* data = bytes >= kMapped ? map_poison(bytes, block.mapped_bytes) : allocate_poison(bytes);
  if (!data) return finish(cudaErrorMemoryAllocation);
  device_blocks[data] = block;
  used_bytes += bytes;
  *p = data;
  return cudaSuccess;
}

cudaError_t cudaFree(void* p) {
  if (!p) return fault_so_far();
  std::unique_lock lock(context().mutex);
  run_all(lock);  // cudaFree waits for the device
  const auto found = device_blocks.find(static_cast<std::byte*>(p));
  if (found == device_blocks.end()) return finish(cudaErrorInvalidValue);
  const Block block = found->second;
  device_blocks.erase(found);
  used_bytes -= block.bytes;
  if (block.mapped_bytes == 0) {
    std::free(p);
  } else {
    void* pages = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(p) / kPage * kPage);
#ifdef __SANITIZE_ADDRESS__
    make_touchable(static_cast<std::byte*>(pages), block.mapped_bytes);  // whoever gets these addresses next
#endif
    munmap(pages, block.mapped_bytes);
  }
  return fault_so_far();
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  if (fault_so_far()) return fault_so_far();
  std::lock_guard lock(context().mutex);
  *total = memory_size();
  *free = *total - std::min(*total, used_bytes);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** p, size_t bytes, unsigned) {
  if (fault_so_far()) return fault_so_far();
  std::lock_guard lock(context().mutex);
  *p = std::malloc(bytes);
  if (!*p) return finish(cudaErrorMemoryAllocation);
  pinned_blocks[static_cast<std::byte*>(*p)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* p) {
  std::unique_lock lock(context().mutex);
  run_all(lock);
  if (pinned_blocks.erase(static_cast<std::byte*>(p)) == 0) return finish(cudaErrorInvalidValue);
  std::free(p);
  return fault_so_far();
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (fault_so_far()) return fault_so_far();
  const bool reads_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool writes_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  if (!(reads_device || writes_device)) return finish(cudaErrorInvalidValue);
  if (reads_device && !is_device_memory(from, bytes)) return finish(cudaErrorInvalidValue);
  if (writes_device && !is_device_memory(to, bytes)) return finish(cudaErrorInvalidValue);
  const void* host = reads_device ? to : from;
  bool pageable;
  {
    std::lock_guard lock(context().mutex);
    pageable = !(reads_device && writes_device) && !is_pinned(host, bytes);
  }
  if (pageable && writes_device) {  // read before the call returns
    const auto* data = static_cast<const std::byte*>(from);
    auto snapshot = std::make_shared<std::vector<std::byte>>(data, data + bytes);
    return finish(put(stream, [=] { std::memcpy(to, snapshot->data(), bytes); }));
  }
  const cudaError_t status = put(stream, [=] { std::memcpy(to, from, bytes); });
  if (status != cudaSuccess) return finish(status);
  return pageable ? cudaStreamSynchronize(stream) : cudaSuccess;  // written before the call returns
}

cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  if (fault_so_far()) return fault_so_far();
  if (!is_device_memory(p, bytes)) return finish(cudaErrorInvalidValue);
  return finish(put(stream, [=] { std::memset(p, value, bytes); }));
}
