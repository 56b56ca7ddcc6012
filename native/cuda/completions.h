// The thread that waits for a CUDA stream: it runs what has to happen on the host when the device has got to
// a point, and finds out there what went wrong on the device.
//
// Threads: `add` is called by the stream's worker; `done` functions run on the thread of this class, in
// order.
#pragma once
#include <cuda_runtime_api.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/threads.h"
#include "cuda/fault.h"
#include "cuda/pinned.h"

namespace warploop::cuda {

/// From pinned memory to where the caller wants it.
struct HostCopy {
  void* to;
  const std::byte* from;
  size_t bytes;
};

struct Completion {
  std::string problem;  // not empty: the point could not be marked
  cudaEvent_t event = nullptr;
  std::vector<HostCopy> copies;
  const FaultRecord* staged_fault =
      nullptr;  // the stream's record at this point, in pinned memory; null: in `fault`
  FaultRecord fault{};
  uint64_t downloads_mark = 0;  // given back when the copies are done
  Executor::Done done;
};

class Completions {
 public:
  Completions(int gpu, Downloads& downloads);
  /// Runs everything that was added.
  ~Completions();

  /// An event to mark the point with. Throws Error(execution).
  cudaEvent_t take_event();
  void add(Completion completion);

  /// The first failure of the device; null: none so far. Any thread.
  const StreamFailure* failure() const {
    return failed_.load(std::memory_order_acquire) ? &failure_ : nullptr;
  }

 private:
  void work();
  void finish(Completion& completion);
  void report(StreamFailure failure);

  const int gpu_;
  Downloads& downloads_;
  std::mutex mutex_;  // guards queue_, free_events_, stopping_
  std::condition_variable wake_;
  std::deque<Completion> queue_;
  std::vector<cudaEvent_t> free_events_;
  bool stopping_ = false;
  StreamFailure failure_;  // written once, before failed_
  std::atomic<bool> failed_{false};
  Threads thread_;
};

}  // namespace warploop::cuda
