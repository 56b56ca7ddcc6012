// A GPU as a device: memory from cudaMalloc, one CUDA stream per stream. Compiled with WARPLOOP_SIMT it is
// the device "simt": the same code over the emulated runtime of native/simt.
#pragma once
#include <memory>
#include <string>

#include "core/device.h"
#include "cuda/gpu.h"
#include "formats/weight_view.h"

namespace warploop::cuda {

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(Gpu gpu);
  const std::string& name() const override { return gpu_.name; }
  unsigned weight_formats() const override { return (1u << kWeightFormatCount) - 1; }
  unsigned activation_types() const override { return activation_bit(Activation::float_); }
  DeviceInfo info() const override;
  MemoryInfo memory() const override;
  MemoryRef allocate(size_t bytes) override;
  std::unique_ptr<Executor> create_executor() override;
  const OpTable& ops() const override;

 private:
  Gpu gpu_;
};

}  // namespace warploop::cuda
