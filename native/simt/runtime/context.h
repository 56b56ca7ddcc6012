// What the emulated CUDA runtime keeps: its streams, its errors, its lock. The functions of the runtime
// itself are declared by NVIDIA's headers, so the compiler compares ours with them; what the device does not
// use is not there, and using it is a link error.
//
// Work that is put on a stream runs when something waits for it, in the thread that waits, and never before:
// a missing synchronisation shows.
#pragma once
#include <cuda_runtime_api.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace warploop::simt::runtime {

using Work = std::function<void()>;

/// The commands of a stream. Events point to it, too, and may outlive the stream.
struct Queue {
  std::deque<Work> waiting;
  uint64_t issued = 0;     // commands put so far
  uint64_t completed = 0;  // commands that have run
  bool running = false;    // a thread runs one now
  std::vector<Work>* capture = nullptr;
};

/// The lock guards everything here and in the objects behind the handles; it is not held while work runs.
struct Context {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::shared_ptr<Queue>> queues;  // of the streams that exist
  std::atomic<cudaError_t> sticky{cudaSuccess};
};

/// Never destroyed: threads may still be here when the process ends.
Context& context();

/// Ends a runtime function: remembers the error for cudaGetLastError. After a device fault every function
/// fails with it.
cudaError_t finish(cudaError_t status);
/// `finish` of the device fault, or cudaSuccess.
cudaError_t fault_so_far();
/// What a fault was, for cudaGetErrorString.
void set_fault(cudaError_t status, const std::string& text);
void clear_fault();

/// Appends work to a stream, or to the graph that it captures.
cudaError_t put(cudaStream_t stream, Work work);
/// Runs the work of a queue until `target` commands of it have completed.
void run_until(std::unique_lock<std::mutex>& lock, Queue& queue, uint64_t target);
/// Runs everything on all streams.
void run_all(std::unique_lock<std::mutex>& lock);

/// 10 * major + minor of the device that is emulated: WARPLOOP_SIMT_CC, 80 or 90.
int compute_capability();

}  // namespace warploop::simt::runtime

struct CUstream_st {
  std::shared_ptr<warploop::simt::runtime::Queue> queue;
};

struct CUevent_st {
  std::shared_ptr<warploop::simt::runtime::Queue>
      queue;  // of the stream that recorded it last; null: never recorded
  uint64_t target = 0;
  /// When the stream got there; null: an event that was created without timing.
  std::shared_ptr<std::chrono::steady_clock::time_point> reached;
};

struct CUgraph_st {
  std::vector<warploop::simt::runtime::Work> work;
};

struct CUgraphExec_st {
  std::vector<warploop::simt::runtime::Work> work;
};
