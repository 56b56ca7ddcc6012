#include "cuda/gpu.h"

#include <cuda_runtime_api.h>

#include <cctype>
#include <iomanip>

#include "core/error.h"
#include "cuda/cuda_check.h"

namespace warploop::cuda {

namespace {

#ifdef WARPLOOP_SIMT
constexpr const char* kKind = "simt";  // one emulated device, without a number
#else
constexpr const char* kKind = "cuda";
#endif

/// 13000 -> "13.0"
std::string version_text(int version) { return concat(version / 1000, ".", version % 1000 / 10); }

std::string describe_count_failure(cudaError_t status) {
  int has = 0, needs = 0;
  cudaDriverGetVersion(&has);
  cudaRuntimeGetVersion(&needs);
  if (status == cudaErrorInsufficientDriver && has == 0)
    return "there is no NVIDIA driver (libcuda.so.1) here";
  if (status == cudaErrorInsufficientDriver) {
    return concat("the NVIDIA driver is too old: it has CUDA ", version_text(has), ", this build needs CUDA ",
                  version_text(needs));
  }
  if (status == cudaErrorNoDevice) return "the NVIDIA driver finds no GPU";
  return concat("CUDA does not start: ", cudaGetErrorString(status), " (", cudaGetErrorName(status), ")");
}

Gpu describe(int index) {
  Gpu gpu;
  gpu.index = index;
  gpu.name = std::string(kKind) == "simt" ? kKind : concat(kKind, ":", index);
  cudaDeviceProp properties{};
  const cudaError_t status = cudaGetDeviceProperties(&properties, index);
  if (status != cudaSuccess) {
    gpu.problem = concat("it does not answer: ", cudaGetErrorString(status));
    return gpu;
  }
  gpu.model = properties.name;
  gpu.compute_capability = 10 * properties.major + properties.minor;
  gpu.num_sms = properties.multiProcessorCount;
  gpu.memory_bytes = properties.totalGlobalMem;
  const double gib = static_cast<double>(gpu.memory_bytes) / (1u << 30);
  gpu.detail = concat(gpu.model, ", compute capability ", properties.major, ".", properties.minor, ", ",
                      gpu.num_sms, " multiprocessors, ", std::fixed, std::setprecision(1), gib, " GiB");
  if (gpu.compute_capability < kOldestCapability) {
    gpu.problem = concat(gpu.model, " has compute capability ", properties.major, ".", properties.minor,
                         ", this build needs 8.0 (Ampere) or newer");
  }
  return gpu;
}

}  // namespace

std::vector<Gpu> list_gpus() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();  // it is no error of later calls
    Gpu none;
    none.name = kKind;
    none.problem = describe_count_failure(status == cudaSuccess ? cudaErrorNoDevice : status);
    return {none};
  }
  std::vector<Gpu> gpus;
  for (int i = 0; i < count; i++) gpus.push_back(describe(i));
  return gpus;
}

bool is_device_name(const std::string& name) {
  const std::string kind = kKind;
  if (name == kind) return true;
  if (kind == "simt" || name.rfind(kind + ":", 0) != 0) return false;
  const std::string number = name.substr(kind.size() + 1);
  if (number.empty() || number.size() > 3) return false;
  for (const char c : number) {
    if (!std::isdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

Gpu find_gpu(const std::string& name) {
  const std::vector<Gpu> gpus = list_gpus();
  const size_t colon = name.find(':');
  const auto index = colon == std::string::npos ? 0 : std::stoul(name.substr(colon + 1));
  if (!gpus[0].model.empty() && index >= gpus.size()) {
    fail(ErrorKind::device, "device: ", name, ": this machine has ", gpus.size(), " GPU(s)");
  }
  const Gpu& gpu = gpus[std::min<size_t>(index, gpus.size() - 1)];
  if (!gpu.problem.empty()) fail(ErrorKind::device, "device: ", name, ": ", gpu.problem);
  return gpu;
}

namespace {

/// Remembers what it has set, because setting costs more than looking.
cudaError_t set_gpu(int index) {
  static thread_local int current = -1;
  if (current == index) return cudaSuccess;
  const cudaError_t status = cudaSetDevice(index);
  if (status == cudaSuccess) current = index;
  return status;
}

}  // namespace

void use_gpu(int index) { require(set_gpu(index), "cudaSetDevice"); }
bool try_use_gpu(int index) noexcept { return set_gpu(index) == cudaSuccess; }

}  // namespace warploop::cuda
