#include "cuda/cuda_executor.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/weight_file.h"
#include "cuda/cuda_check.h"

namespace warploop::cuda {

namespace {

/// A recorded step as a CUDA graph.
struct CompiledGraph final : Graph::Compiled {
  cudaGraphExec_t executable = nullptr;
  ~CompiledGraph() override {
    if (executable) cudaGraphExecDestroy(executable);
  }
};

/// Events on the stream. They cost the GPU about a microsecond each, which is not part of any row's duration.
class EventClock final : public TraceClock {
 public:
  EventClock(int gpu, cudaStream_t stream) : gpu_(gpu), stream_(stream) {}
  ~EventClock() override {
    try_use_gpu(gpu_);
    for (const cudaEvent_t event : marks_) cudaEventDestroy(event);
  }

  void mark() override {
    use_gpu(gpu_);
    cudaEvent_t event = nullptr;
    require(cudaEventCreateWithFlags(&event, cudaEventDefault), "cudaEventCreate");
    marks_.push_back(event);
    require(cudaEventRecord(event, stream_), "cudaEventRecord");
  }

  double between(size_t from, size_t to) const override {
    use_gpu(gpu_);
    float milliseconds = 0;
    require(cudaEventElapsedTime(&milliseconds, marks_[from], marks_[to]), "cudaEventElapsedTime");
    return 1000.0 * milliseconds;
  }

 private:
  const int gpu_;
  const cudaStream_t stream_;
  std::vector<cudaEvent_t> marks_;
};

/// A variable of the environment for diagnostics; lib/env.ts lists them. Empty: not set.
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

/// WARPLOOP_PDL: whether launches overlap, where the GPU can do it and the driver keeps it in graphs (CUDA
/// 12.3). Results have the same bits either way.
bool overlaps_launches(const Gpu& gpu) {
  const std::string text = environment("WARPLOOP_PDL");
  if (!text.empty() && text != "0" && text != "1")
    fail(ErrorKind::device, "WARPLOOP_PDL: expected 0 or 1, got \"", text, '"');
  int driver = 0;
  require(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  return gpu.compute_capability >= 90 && driver >= 12030 && text != "0";
}

}  // namespace

CudaStream::CudaStream(int gpu) {
  use_gpu(gpu);
  require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
}

CudaStream::~CudaStream() {
  cudaStreamSynchronize(stream_);
  cudaStreamDestroy(stream_);
}

CudaExecutor::CudaExecutor(const Gpu& gpu, MemoryRef scratch, const Scratch& layout)
    : gpu_(gpu.index),
      scratch_(std::move(scratch)),
      layout_(layout),
      stream_(gpu.index),
#ifdef WARPLOOP_SIMT
      parts_(stream_, static_cast<std::byte*>(scratch_->data()), layout_.counters_at()),
#endif
      kernels_(environment("WARPLOOP_KERNEL")),
      uploads_(stream_),
      completions_(gpu.index, downloads_) {
  auto* bytes = static_cast<std::byte*>(scratch_->data());
  context_.stream = stream_;
  context_.workspace = bytes;
  context_.workspace_bytes = static_cast<int64_t>(layout_.workspace_bytes);
  context_.counters = reinterpret_cast<uint32_t*>(bytes + layout_.counters_at());
  context_.num_counters = static_cast<int32_t>(layout_.num_counters);
  context_.fault = reinterpret_cast<FaultRecord*>(bytes + layout_.fault_at());
  context_.num_sms = gpu.num_sms;
  context_.compute_capability = gpu.compute_capability;
  context_.kernels = &kernels_;
  context_.overlaps = overlaps_launches(gpu);
  require(cudaMemsetAsync(bytes + layout_.counters_at(), 0, layout_.bytes() - layout_.counters_at(), stream_),
          "cudaMemsetAsync");
#ifdef WARPLOOP_SIMT
  context_.parts = &parts_;
  require(cudaMemsetAsync(bytes + layout_.counters_at() + layout_.counter_bytes(), Scratch::kGuard,
                          Scratch::kGuardBytes, stream_),
          "cudaMemsetAsync");
#endif
}

CudaExecutor::~CudaExecutor() {
  use_gpu(gpu_);
  cudaStreamSynchronize(stream_);
}

void CudaExecutor::copy_from_host(void* device, const void* host, size_t bytes) {
  use_gpu(gpu_);
  const auto* from = static_cast<const std::byte*>(host);
  uploads_.copy(device, bytes,
                [from](std::byte* to, size_t at, size_t count) { std::memcpy(to, from + at, count); });
}

void CudaExecutor::copy_from_file(void* device, const WeightFile& file, size_t offset, size_t bytes) {
  use_gpu(gpu_);
  uploads_.copy(device, bytes, [&file, offset](std::byte* to, size_t at, size_t count) {
    file.read(to, offset + at, count);
  });
}

void CudaExecutor::copy_to_host(void* host, const void* device, size_t bytes) {
  use_gpu(gpu_);
  if (bytes == 0) return;
  if (const std::byte* staged = download(host, device, bytes)) copies_.push_back({host, staged, bytes});
}

const std::byte* CudaExecutor::download(void* host, const void* device, size_t bytes) {
  std::byte* staged = downloads_.take(bytes);
  void* to = staged ? staged : host;
  require(cudaMemcpyAsync(to, device, bytes, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
  if (!staged) require(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  return staged;
}

void CudaExecutor::then(Done done) {
  Completion completion;
  completion.copies = std::exchange(copies_, {});
  completion.done = [this, done = std::move(done)](const StreamFailure* failure) {
    advance();
    done(failure);
  };
  try {  // whoever waits is told of a failure in turn, not by an exception
    use_gpu(gpu_);
    completion.event = completions_.take_event();
    completion.staged_fault = reinterpret_cast<const FaultRecord*>(
        download(&completion.fault, context_.fault, sizeof(FaultRecord)));
    require(cudaEventRecord(completion.event, stream_), "cudaEventRecord");
  } catch (const std::exception& e) {
    completion.problem = e.what();
  }
  completion.downloads_mark = downloads_.mark();
  completions_.add(std::move(completion));
}

void CudaExecutor::replay(Graph& graph) {
  use_gpu(gpu_);
  // Recorded on another stream: its CUDA graph would use that stream's workspace. With a trace: every command
  // gets a row of its own.
  if (graph.executor != id() || is_traced()) {
    graph.commands.for_each([this](const Command& c) { execute(c); });
    return;
  }
  if (!graph.compiled) {
    // The first replay runs the commands and captures them for the next ones: a capture must meet no kernel
    // that has never run, for which a module would have to be loaded and shared memory asked for.
    graph.commands.for_each([this](const Command& c) { execute(c); });
    graph.compiled = compile(graph);
    return;
  }
  require(cudaGraphLaunch(static_cast<CompiledGraph&>(*graph.compiled).executable, stream_),
          "cudaGraphLaunch");
}

std::unique_ptr<TraceClock> CudaExecutor::trace_clock() {
  take_note();
  return std::make_unique<EventClock>(gpu_, stream_);
}

std::unique_ptr<Graph::Compiled> CudaExecutor::compile(const Graph& graph) {
  // Thread-local: other threads may allocate meanwhile.
  require(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  cudaGraph_t captured = nullptr;
  try {
    graph.commands.for_each([this](const Command& c) { execute(c); });
  } catch (...) {
    cudaStreamEndCapture(stream_, &captured);
    if (captured) cudaGraphDestroy(captured);
    throw;
  }
  require(cudaStreamEndCapture(stream_, &captured), "cudaStreamEndCapture");
  auto compiled = std::make_unique<CompiledGraph>();
  const cudaError_t status = cudaGraphInstantiate(&compiled->executable, captured, 0);
  cudaGraphDestroy(captured);
  require(status, "cudaGraphInstantiate");
  require(cudaGraphUpload(compiled->executable, stream_), "cudaGraphUpload");
  return compiled;
}

}  // namespace warploop::cuda
