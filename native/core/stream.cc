#include "core/stream.h"

#include <chrono>

#include "core/pause.h"

namespace warploop {

namespace {

// Long enough to bridge the gap between two op calls from JavaScript, short enough not to burn a core while
// idle.
constexpr auto kSpin = std::chrono::microseconds(30);

/// A host command's params are one owning pointer.
struct HostCall {
  Stream::HostFn* fn;
};

}  // namespace

Stream::Stream(std::shared_ptr<Device> device) : device_(std::move(device)) {
  executor_ = device_->create_executor();
  worker_.start(device_->name() + ": stream", 1, [this](size_t) { work(); });
}

Stream::~Stream() {
  {
    std::lock_guard lock(mutex_);
    stopping_.store(true);
  }
  wake_.notify_one();
  worker_.join();
  const auto drop = [](const Command& c) {
    if (c.op == OpId::count) delete static_cast<const HostCall*>(c.params())->fn;
  };
  queued_.for_each(drop);
}

void Stream::enqueue(const Command& head, const void* params) {
  if (!head.run) {
    fail(ErrorKind::type, name_of(head.op), ": this op does not exist on device ", device_->name());
  }
  if (recording_) {
    recording_->commands.append(head, params);
  } else {
    push(head, params);
  }
}

void Stream::host(HostFn fn) {
  if (recording_)
    fail(ErrorKind::type, "stream: only ops can be captured: no host copies, reads, replays or traces");
  push_host(std::move(fn));
}

void Stream::release(std::shared_ptr<void> object) {
  // `then`: a device that runs behind its worker must have finished as well.
  push_host([object = std::move(object)](Executor& executor, const StreamFailure*) {
    executor.then([object](const StreamFailure*) {});
  });
}

void Stream::push_host(HostFn fn) {
  HostCall call{new HostFn(std::move(fn))};
  push({nullptr, nullptr, OpId::count, sizeof call}, &call);
}

void Stream::push(const Command& head, const void* params) {
  bool notify;
  {
    std::lock_guard lock(mutex_);
    queued_.append(head, params);
    published_.fetch_add(1, std::memory_order_release);
    notify = sleeping_;
  }
  if (notify) wake_.notify_one();
}

void Stream::begin_capture() {
  if (recording_) fail(ErrorKind::type, "stream: a capture is already running");
  recording_ = std::make_shared<Graph>();
  recording_->executor = executor_->id();
}

std::shared_ptr<Graph> Stream::end_capture() {
  if (!recording_) fail(ErrorKind::type, "stream: no capture is running");
  return std::move(recording_);
}

void Stream::begin_trace(size_t most_rows) {
  if (traced_) fail(ErrorKind::type, "trace: this stream has one that has not ended");
  host([most_rows](Executor& executor, const StreamFailure* failure) {
    if (!failure) executor.begin_trace(most_rows);
  });
  traced_ = true;
}

void Stream::end_trace(TraceFn done) {
  if (!traced_) fail(ErrorKind::type, "trace: this stream has none that is open");
  host([done = std::move(done)](Executor& executor, const StreamFailure* failure) {
    const std::shared_ptr<Trace> trace = executor.end_trace();
    if (failure) return done(nullptr, failure);
    executor.then([trace, done](const StreamFailure* late) { done(trace.get(), late); });
  });
  traced_ = false;
}

void Stream::retain(const MemoryRef& memory) {
  auto& kept = recording_->memory;
  for (const MemoryRef& m : kept) {
    if (m == memory) return;
  }
  kept.push_back(memory);
}

void Stream::work() {
  while (!stopping_.load(std::memory_order_acquire)) {
    wait_for_commands();
    run_batch();
  }
}

void Stream::wait_for_commands() {
  const auto has_work = [this] {
    return published_.load(std::memory_order_acquire) != taken_ || stopping_.load(std::memory_order_acquire);
  };
  const auto until = std::chrono::steady_clock::now() + kSpin;
  while (!has_work() && std::chrono::steady_clock::now() < until) {
    for (int i = 0; i < 16; i++) cpu_pause();
  }
  std::unique_lock lock(mutex_);
  sleeping_ = true;
  wake_.wait(lock, has_work);
  sleeping_ = false;
  queued_.swap(batch_);
}

void Stream::run_batch() {
  batch_.for_each([this](const Command& c) {
    taken_++;
    run(c);
    executor_->advance();
  });
  batch_.clear();
}

void Stream::run(const Command& command) {
  const bool is_host = command.op == OpId::count;
  std::unique_ptr<HostFn> fn;
  if (is_host) fn.reset(static_cast<const HostCall*>(command.params())->fn);
  if (stopping_.load(std::memory_order_acquire)) return;
  if (const StreamFailure* late = failure_ ? nullptr : executor_->late_failure()) failure_ = *late;
  if (failure_ && !is_host) return;
  try {
    if (is_host) {
      (*fn)(*executor_, failure_ ? &*failure_ : nullptr);
    } else {
      executor_->execute(command);
    }
  } catch (const CommandError& e) {  // also of a graph that host work replays
    if (!failure_) failure_ = e.failure();
  } catch (const std::exception& e) {  // of host work, which says what it is
    if (!failure_) failure_ = StreamFailure{name_of(command.op), e.what()};
  }
}

}  // namespace warploop
