#include "cuda/cuda_device.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "cuda/cuda_check.h"
#include "cuda/cuda_executor.h"

namespace warploop::cuda {

namespace {

class GpuMemory final : public Memory {
 public:
  GpuMemory(int gpu, void* data, size_t bytes) : Memory(data, bytes), gpu_(gpu) {}
  ~GpuMemory() override {
    try_use_gpu(gpu_);  // any thread may drop the last reference
    cudaFree(data());   // after a device fault it fails, and there is nobody to tell
  }

 private:
  int gpu_;
};

}  // namespace

CudaDevice::CudaDevice(Gpu gpu) : gpu_(std::move(gpu)) {}

DeviceInfo CudaDevice::info() const {
  DeviceInfo info;
  info.model = gpu_.model;
  info.isa = concat("sm_", gpu_.compute_capability);
  info.processors = gpu_.num_sms;
  info.fast_dtypes = {DType::f32, DType::bf16, DType::f16};
  return info;
}

MemoryInfo CudaDevice::memory() const {
  use_gpu(gpu_.index);
  MemoryInfo info;
  require(cudaMemGetInfo(&info.free, &info.total), "cudaMemGetInfo");
  return info;
}

MemoryRef CudaDevice::allocate(size_t bytes) {
  use_gpu(gpu_.index);
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, std::max<size_t>(bytes, 1));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // the device stays usable
    throw OutOfMemory(gpu_.name, bytes, memory().free);
  }
  require(status, "cudaMalloc");
  return std::make_shared<GpuMemory>(gpu_.index, data, bytes);
}

std::unique_ptr<Executor> CudaDevice::create_executor() {
#ifdef WARPLOOP_SIMT
  const Scratch layout = scratch_of_new_streams();
#else
  const Scratch layout;
#endif
  return std::make_unique<CudaExecutor>(gpu_, allocate(layout.bytes()), layout);
}

}  // namespace warploop::cuda
