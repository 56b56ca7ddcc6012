// Runs the commands of one stream on a GPU: launches and copies are issued to a CUDA stream and return at
// once.
//
// Threads: constructed and destroyed by the JavaScript thread, used by the stream's worker in between.
#pragma once
#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/device.h"
#include "core/graph.h"
#include "cuda/completions.h"
#include "cuda/cuda_context.h"
#include "cuda/gpu.h"
#include "cuda/kernel_choice.h"
#include "cuda/pinned.h"
#include "cuda/scratch.h"

namespace warploop::cuda {

/// A CUDA stream of its own, not ordered with any other.
class CudaStream {
 public:
  explicit CudaStream(int gpu);
  ~CudaStream();
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class CudaExecutor final : public Executor {
 public:
  /// `scratch`: layout.bytes() of the GPU.
  CudaExecutor(const Gpu& gpu, MemoryRef scratch, const Scratch& layout);
  /// Waits for the GPU and runs what still waits for it.
  ~CudaExecutor() override;

  CudaContext& context() {
    use_gpu(gpu_);
    return context_;
  }

  void copy_from_host(void* device, const void* host, size_t bytes) override;
  void copy_from_file(void* device, const WeightFile& file, size_t offset, size_t bytes) override;
  void copy_to_host(void* host, const void* device, size_t bytes) override;
  void then(Done done) override;
  void replay(Graph& graph) override;
  const StreamFailure* late_failure() const override { return completions_.failure(); }

#ifdef WARPLOOP_SIMT
  /// Puts a check on the stream, after every op: nothing is written behind anything, the counters are zero.
  void check_scratch();
#endif

 private:
  std::unique_ptr<TraceClock> trace_clock() override;
  CommandNote take_note() override {
    const CommandNote note = context_.note;
    context_.note.kernel = nullptr;
    context_.note.launches = 0;
    context_.note.num_refusals = 0;
    return note;
  }
  std::unique_ptr<Graph::Compiled> compile(const Graph& graph);
  /// Issues a copy into pinned memory and returns where it goes. Null: there was no room, `host` has the data
  /// now.
  const std::byte* download(void* host, const void* device, size_t bytes);

  const int gpu_;
  MemoryRef scratch_;
  const Scratch layout_;
  CudaStream stream_;
  CudaContext context_;
#ifdef WARPLOOP_SIMT
  simt::runtime::WorkspaceParts parts_;
#endif
  const KernelChoice kernels_;
  Uploads uploads_;
  Downloads downloads_;
  std::vector<HostCopy> copies_;  // since the last `then`
  Completions completions_;       // last: it ends before what its thread uses
};

}  // namespace warploop::cuda
