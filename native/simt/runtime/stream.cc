// Streams, events and graphs.
#include <algorithm>
#include <exception>
#include <memory>
#include <utility>

#include "simt/runtime/context.h"

namespace warploop::simt::runtime {

cudaError_t put(cudaStream_t stream, Work work) {
  std::lock_guard lock(context().mutex);
  if (!stream)
    return cudaErrorInvalidValue;  // the null stream orders itself with all others; the device never uses it
  Queue& queue = *stream->queue;
  if (queue.capture) {
    queue.capture->push_back(std::move(work));
  } else {
    queue.waiting.push_back(std::move(work));
    queue.issued++;
  }
  return cudaSuccess;
}

void run_until(std::unique_lock<std::mutex>& lock, Queue& queue, uint64_t target) {
  Context& c = context();
  while (queue.completed < target) {
    if (queue.running) {
      c.changed.wait(lock);
      continue;
    }
    const Work work = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    queue.running = true;
    lock.unlock();
    try {
      if (c.sticky.load() == cudaSuccess) work();
    } catch (const std::exception& e) {
      set_fault(cudaErrorLaunchFailure, e.what());
    }
    lock.lock();
    queue.running = false;
    queue.completed++;
    c.changed.notify_all();
  }
}

void run_all(std::unique_lock<std::mutex>& lock) {
  const std::vector<std::shared_ptr<Queue>> queues = context().queues;
  for (const auto& queue : queues) run_until(lock, *queue, queue->issued);
}

}  // namespace warploop::simt::runtime

using namespace warploop::simt::runtime;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  if (fault_so_far()) return fault_so_far();
  std::lock_guard lock(context().mutex);
  *stream = new CUstream_st{std::make_shared<Queue>()};
  context().queues.push_back((*stream)->queue);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  cudaStreamSynchronize(stream);
  const cudaError_t status = fault_so_far();
  std::lock_guard lock(context().mutex);
  std::erase(context().queues, stream->queue);
  delete stream;
  // On a GPU a fault lasts as long as the process. Here it ends with the last stream, so that one bad case of
  // a test file does not fail the others.
  if (context().queues.empty()) clear_fault();
  return status;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  std::unique_lock lock(context().mutex);
  if (stream->queue->capture) return finish(cudaErrorStreamCaptureUnsupported);
  run_until(lock, *stream->queue, stream->queue->issued);
  return fault_so_far();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st;
  if (!(flags & cudaEventDisableTiming))
    (*event)->reached = std::make_shared<std::chrono::steady_clock::time_point>();
  return fault_so_far();
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return fault_so_far();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (fault_so_far()) return fault_so_far();
  std::lock_guard lock(context().mutex);
  if (stream->queue->capture) return finish(cudaErrorStreamCaptureUnsupported);
  if (event->reached) {
    stream->queue->waiting.push_back([at = event->reached] { *at = std::chrono::steady_clock::now(); });
    stream->queue->issued++;
  }
  event->queue = stream->queue;
  event->target = stream->queue->issued;
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  std::unique_lock lock(context().mutex);
  if (const std::shared_ptr<Queue> queue = event->queue) run_until(lock, *queue, event->target);
  return fault_so_far();
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (fault_so_far()) return fault_so_far();
  std::lock_guard lock(context().mutex);
  const auto has_passed = [](cudaEvent_t event) {
    return event->reached && event->queue && event->queue->completed >= event->target;
  };
  if (!has_passed(start) || !has_passed(end)) return finish(cudaErrorInvalidValue);
  *milliseconds = std::chrono::duration<float, std::milli>(*end->reached - *start->reached).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (fault_so_far()) return fault_so_far();
  std::lock_guard lock(context().mutex);
  if (stream->queue->capture) return finish(cudaErrorIllegalState);
  stream->queue->capture = new std::vector<Work>;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  std::lock_guard lock(context().mutex);
  *graph = nullptr;
  const std::unique_ptr<std::vector<Work>> captured(std::exchange(stream->queue->capture, nullptr));
  if (!captured) return finish(cudaErrorIllegalState);
  *graph = new CUgraph_st{std::move(*captured)};
  return fault_so_far();
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  if (fault_so_far()) return fault_so_far();
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return fault_so_far(); }

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (fault_so_far()) return fault_so_far();
  for (const Work& work : executable->work) {
    if (const cudaError_t status = put(stream, work)) return finish(status);
  }
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return fault_so_far();
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;  // launches that are queued hold copies of its work
  return fault_so_far();
}
