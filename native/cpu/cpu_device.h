// The CPU as a device: memory is host memory, an executor runs each command over the thread pool before it
// takes the next.
#pragma once
#include "core/device.h"
#include "cpu/cpu_context.h"
#include "cpu/isa.h"
#include "formats/weight_view.h"

namespace warploop::cpu {

class CpuExecutor final : public Executor {
 public:
  CpuExecutor(std::shared_ptr<ThreadPool> pool, MemoryRef workspaces);
  CpuContext& context() { return context_; }

  void copy_from_host(void* device, const void* host, size_t bytes) override;
  void copy_from_file(void* device, const WeightFile& file, size_t offset, size_t bytes) override;
  void copy_to_host(void* host, const void* device, size_t bytes) override;
  void then(Done done) override;
  void replay(Graph& graph) override;

 private:
  std::unique_ptr<TraceClock> trace_clock() override { return std::make_unique<HostClock>(); }
  CommandNote take_note() override { return {.kernel = nullptr, .launches = 1}; }

  std::shared_ptr<ThreadPool> pool_;
  MemoryRef workspaces_;
  CpuContext context_;
};

class CpuDevice final : public Device {
 public:
  /// `threads` <= 0: one per usable physical core. Throws Error(type) when no compiled instruction set fits.
  explicit CpuDevice(int threads);
  const std::string& name() const override { return name_; }
  MemoryRef allocate(size_t bytes) override;
  std::unique_ptr<Executor> create_executor() override;
  const OpTable& ops() const override { return isa_->ops(); }
  unsigned weight_formats() const override { return (1u << kWeightFormatCount) - 1; }
  unsigned activation_types() const override { return (1u << kActivationCount) - 1; }
  DeviceInfo info() const override;
  MemoryInfo memory() const override;

 private:
  std::string name_ = "cpu";
  const Isa* isa_;
  std::shared_ptr<ThreadPool> pool_;
};

}  // namespace warploop::cpu
