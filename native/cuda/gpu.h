// The GPUs of this machine, and why there is none. Compiled for simt, the one emulated device.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace warploop::cuda {

/// Oldest generation that the kernels run on: Ampere.
inline constexpr int kOldestCapability = 80;

struct Gpu {
  int index = 0;
  std::string name;            // "cuda:0"
  std::string model;           // "NVIDIA H200"
  std::string detail;          // model, multiprocessors, memory
  std::string problem;         // why it cannot be used; empty: it can
  int compute_capability = 0;  // 10 * major + minor
  int num_sms = 0;
  size_t memory_bytes = 0;
};

/// Never throws; without a driver or a GPU: one entry named "cuda" that says so.
std::vector<Gpu> list_gpus();

/// "cuda" or "cuda:N"
bool is_device_name(const std::string& name);

/// The GPU that a device name means ("cuda" is "cuda:0"). Throws Error(device) with the reason when it cannot
/// be used.
Gpu find_gpu(const std::string& name);

/// Makes CUDA calls of this thread go to a GPU. Nobody else may call cudaSetDevice: which GPU a thread uses
/// is remembered here.
void use_gpu(int index);
/// The same where nobody can be told of a failure.
bool try_use_gpu(int index) noexcept;

}  // namespace warploop::cuda
