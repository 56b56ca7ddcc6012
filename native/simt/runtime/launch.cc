// Kernel launches, with the checks that a GPU makes.
#include "simt/launch.h"

#include <map>
#include <set>

#include "core/error.h"
#include "simt/runtime/context.h"
#include "simt/runtime/control.h"

namespace warploop::simt::runtime {

namespace {

constexpr size_t kSharedWithoutAsking = 48u << 10;
constexpr unsigned kMaxThreads = 1024, kMaxGridYz = 65535, kMaxCluster = 8;

std::atomic<bool> fail_next{false};
std::atomic<uint64_t> last_blocks{0};      // 0: all
std::map<const void*, int> shared_limits;  // guarded by the context's lock
std::set<const void*> loaded;              // kernels that have been launched; guarded by the context's lock

size_t max_shared_bytes() { return (compute_capability() >= 90 ? 227u : 163u) << 10; }

dim3 cluster_of(const cudaLaunchConfig_t& config) {
  for (unsigned i = 0; i < config.numAttrs; i++) {
    if (config.attrs[i].id != cudaLaunchAttributeClusterDimension) continue;
    const auto& size = config.attrs[i].val.clusterDim;
    return dim3(size.x, size.y, size.z);
  }
  return dim3(1, 1, 1);
}

bool is_programmatic(const cudaLaunchConfig_t& config) {
  for (unsigned i = 0; i < config.numAttrs; i++) {
    if (config.attrs[i].id == cudaLaunchAttributeProgrammaticStreamSerialization)
      return config.attrs[i].val.programmaticStreamSerializationAllowed != 0;
  }
  return false;
}

bool is_valid(const cudaLaunchConfig_t& config, dim3 cluster) {
  const dim3 grid = config.gridDim, block = config.blockDim;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > kMaxGridYz || grid.z > kMaxGridYz) return false;
  if (block.x == 0 || block.y == 0 || block.z == 0 || block.x * block.y * block.z > kMaxThreads) return false;
  const unsigned blocks = cluster.x * cluster.y * cluster.z;
  if (blocks == 1) return true;
  return compute_capability() >= 90 && blocks <= kMaxCluster && grid.x % cluster.x == 0 &&
         grid.y % cluster.y == 0 && grid.z % cluster.z == 0;
}

}  // namespace

void fail_next_launch() { fail_next.store(true); }
void run_last_blocks(uint64_t blocks) { last_blocks.store(blocks); }
bool runs_last_blocks() { return last_blocks.load() != 0; }

}  // namespace warploop::simt::runtime

using namespace warploop::simt::runtime;

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  if (fault_so_far()) return fault_so_far();
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return finish(cudaErrorInvalidValue);
  if (value < 0 || static_cast<size_t>(value) > max_shared_bytes()) return finish(cudaErrorInvalidValue);
  std::lock_guard lock(context().mutex);
  shared_limits[function] = value;
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {};
  attributes->ptxVersion = attributes->binaryVersion = compute_capability();
  return fault_so_far();
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* function, void** arguments) {
  if (fault_so_far()) return fault_so_far();
  const warploop::simt::Kernel* kernel = warploop::simt::find_kernel(function);
  if (!kernel) return finish(cudaErrorInvalidDeviceFunction);
  const dim3 cluster = cluster_of(*config);
  if (!is_valid(*config, cluster)) return finish(cudaErrorInvalidConfiguration);
  const bool programmatic = is_programmatic(*config);
  if (programmatic && compute_capability() < 90) return finish(cudaErrorInvalidValue);
  if (config->dynamicSmemBytes > kSharedWithoutAsking) {
    std::lock_guard lock(context().mutex);
    const auto limit = shared_limits.find(function);
    if (limit == shared_limits.end() || config->dynamicSmemBytes > static_cast<size_t>(limit->second)) {
      return finish(cudaErrorInvalidValue);
    }
  }
  {
    std::lock_guard lock(context().mutex);
    // To load a kernel's module may need what a capture forbids.
    if (config->stream->queue->capture && !loaded.contains(function))
      return finish(cudaErrorStreamCaptureUnsupported);
    loaded.insert(function);
  }
  const warploop::simt::Launch launch{.kernel = kernel,
                                      .grid = config->gridDim,
                                      .block = config->blockDim,
                                      .cluster = cluster,
                                      .shared_bytes = config->dynamicSmemBytes,
                                      .arguments = kernel->copy_arguments(arguments),
                                      .last_clusters = last_blocks.load(),
                                      .programmatic = programmatic};
  const bool fails = fail_next.exchange(false);
  return finish(put(config->stream, [launch, fails] {
    if (fails) warploop::fail_execution(launch.kernel->name, ": a failure was asked for");
    warploop::simt::run(launch);
  }));
}
