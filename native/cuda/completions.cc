#include "cuda/completions.h"

#include <cstring>
#include <string>
#include <utility>

#include "core/fault_text.h"
#include "cuda/cuda_check.h"
#include "cuda/gpu.h"

namespace warploop::cuda {

namespace {

StreamFailure failure_of(const FaultRecord& fault) {
  const FaultNumbers numbers{
      .value = fault.value, .limit = fault.limit, .index = fault.index, .column = fault.column};
  return {fault.op, concat(fault.op, ": ", fault_text(fault.text, numbers))};
}

}  // namespace

Completions::Completions(int gpu, Downloads& downloads) : gpu_(gpu), downloads_(downloads) {
  thread_.start("completions of a stream", 1, [this](size_t) { work(); });
}

Completions::~Completions() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  for (const cudaEvent_t event : free_events_) cudaEventDestroy(event);
}

cudaEvent_t Completions::take_event() {
  {
    std::lock_guard lock(mutex_);
    if (!free_events_.empty()) {
      const cudaEvent_t event = free_events_.back();
      free_events_.pop_back();
      return event;
    }
  }
  cudaEvent_t event = nullptr;
  require(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync),
          "cudaEventCreate");
  return event;
}

void Completions::add(Completion completion) {
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(completion));
  }
  wake_.notify_one();
}

void Completions::work() {
  try_use_gpu(gpu_);
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Completion next = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    finish(next);
    const cudaEvent_t event = next.event;
    next = {};  // may free device memory: not under the lock
    lock.lock();
    if (event) free_events_.push_back(event);
  }
}

void Completions::finish(Completion& completion) {
  if (completion.problem.empty()) {
    try {
      require(cudaEventSynchronize(completion.event), "cudaEventSynchronize");
    } catch (const std::exception& e) {
      completion.problem = e.what();
    }
  }
  const FaultRecord& fault = completion.staged_fault ? *completion.staged_fault : completion.fault;
  if (!completion.problem.empty()) {
    report({"device", concat("device: ", completion.problem)});
  } else if (fault.raised) {
    report(failure_of(fault));
  } else {
    for (const HostCopy& copy : completion.copies) std::memcpy(copy.to, copy.from, copy.bytes);
  }
  downloads_.give_back(completion.downloads_mark);
  completion.done(failure());
}

void Completions::report(StreamFailure failure) {
  if (failed_.load(std::memory_order_relaxed)) return;  // the first one wins
  failure_ = std::move(failure);
  failed_.store(true, std::memory_order_release);
}

}  // namespace warploop::cuda
