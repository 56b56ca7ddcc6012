#include "bind/devices.h"

#include "core/error.h"
#ifdef WARPLOOP_CPU
#include "cpu/cpu_device.h"
#endif
#if defined(WARPLOOP_CUDA) || defined(WARPLOOP_SIMT)
#include "cuda/cuda_device.h"
#endif

namespace warploop::bind {

std::vector<DeviceEntry> list_devices() {
  std::vector<DeviceEntry> entries;
#if defined(WARPLOOP_CUDA) || defined(WARPLOOP_SIMT)
  for (const cuda::Gpu& gpu : cuda::list_gpus()) entries.push_back({gpu.name, gpu.detail, gpu.problem});
#endif
#ifdef WARPLOOP_CPU
  const bool runs = cpu::choose_isa() != nullptr;
  entries.push_back({"cpu", "", runs ? "" : "the processor has none of the instruction sets of this build"});
#endif
  return entries;
}

std::shared_ptr<Device> make_device(const std::string& name, [[maybe_unused]] int threads) {
#ifdef WARPLOOP_CPU
  if (name == "cpu") return std::make_shared<cpu::CpuDevice>(threads);
#endif
#if defined(WARPLOOP_CUDA) || defined(WARPLOOP_SIMT)
  if (cuda::is_device_name(name)) return std::make_shared<cuda::CudaDevice>(cuda::find_gpu(name));
#endif
  fail(ErrorKind::type, "device: '", name, "' does not exist in this build");
}

}  // namespace warploop::bind
