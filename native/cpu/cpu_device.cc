#include "cpu/cpu_device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "core/graph.h"
#include "core/weight_file.h"
#include "cpu/topology.h"

#include <unistd.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace warploop::cpu {

namespace {

constexpr size_t kAlign = 64;
constexpr size_t kHugePage =
    2u << 20;  // from this size on, ask for huge pages: weights are streamed end to end

class HostMemory final : public Memory {
 public:
  HostMemory(void* data, size_t bytes) : Memory(data, bytes) {}
  ~HostMemory() override { std::free(data()); }
};

MemoryInfo memory_of_machine() {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  MemoryInfo info;
  info.total = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page;
#if defined(_SC_AVPHYS_PAGES)
  info.free = static_cast<size_t>(sysconf(_SC_AVPHYS_PAGES)) * page;
#endif
  return info;
}

MemoryRef allocate_host(size_t bytes) {
  const size_t align = bytes >= kHugePage ? kHugePage : kAlign;
  const size_t rounded = (std::max<size_t>(bytes, 1) + align - 1) / align * align;
  void* data = std::aligned_alloc(align, rounded);
  if (!data) throw OutOfMemory("cpu", bytes, memory_of_machine().free);
#ifdef __SANITIZE_ADDRESS__
  __asan_poison_memory_region(static_cast<std::byte*>(data) + bytes, rounded - bytes);  // ends at the byte
#endif
#if defined(__linux__)
  if (align == kHugePage) madvise(data, rounded, MADV_HUGEPAGE);
#endif
  return std::make_shared<HostMemory>(data, bytes);
}

}  // namespace

CpuExecutor::CpuExecutor(std::shared_ptr<ThreadPool> pool, MemoryRef workspaces)
    : pool_(std::move(pool)),
      workspaces_(std::move(workspaces)),
      context_(*pool_, static_cast<std::byte*>(workspaces_->data())) {}

void CpuExecutor::copy_from_host(void* device, const void* host, size_t bytes) {
  std::memcpy(device, host, bytes);
}

void CpuExecutor::copy_from_file(void* device, const WeightFile& file, size_t offset, size_t bytes) {
  file.read(static_cast<std::byte*>(device), offset, bytes);
}

void CpuExecutor::copy_to_host(void* host, const void* device, size_t bytes) {
  std::memcpy(host, device, bytes);
}

void CpuExecutor::then(Done done) { done(nullptr); }

void CpuExecutor::replay(Graph& graph) {
  graph.commands.for_each([this](const Command& c) {
    execute(c);
    advance();
  });
}

CpuDevice::CpuDevice(int threads) : isa_(choose_isa()) {
  if (!isa_)
    fail(ErrorKind::type,
         "cpu: this processor has none of the instruction sets of this build (x86-64-v3 or newer)");
  pool_ = std::make_shared<ThreadPool>(threads > 0 ? threads : usable_cores());
}

DeviceInfo CpuDevice::info() const {
  DeviceInfo info;
  info.isa = isa_->name;
  info.threads = pool_->threads();
  info.fast_dtypes = {DType::f32};
  if (info.isa == "avx512") info.fast_dtypes.push_back(DType::bf16);  // AVX512-BF16
  return info;
}

MemoryInfo CpuDevice::memory() const { return memory_of_machine(); }

MemoryRef CpuDevice::allocate(size_t bytes) { return allocate_host(bytes); }

std::unique_ptr<Executor> CpuDevice::create_executor() {
  return std::make_unique<CpuExecutor>(pool_, allocate_host(CpuContext::workspace_bytes(pool_->threads())));
}

}  // namespace warploop::cpu
