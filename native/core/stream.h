// An in-order queue of commands, drained by one worker thread. Enqueueing never blocks and never waits for
// the device.
//
// Threads: everything in the public section is called by the JavaScript thread; `work` and `run_batch` are
// the worker's. Errors: the first command that throws, or whose failure the device reports later, poisons the
// stream. Later ops and copies are skipped, host commands that settle promises still run and are told why, so
// every await ends.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "core/check.h"
#include "core/command_list.h"
#include "core/device.h"
#include "core/graph.h"
#include "core/threads.h"

namespace warploop {

class Stream {
 public:
  /// Runs on the worker in stream order; `failure` is null while the stream is healthy.
  using HostFn = std::function<void(Executor&, const StreamFailure* failure)>;

  explicit Stream(std::shared_ptr<Device> device);
  /// Drops what has not started, waits for the command that runs now, joins the worker.
  ~Stream();

  Device& device() const { return *device_; }

  /// Verifies `p` and queues (or records) the op. Throws Error for bad arguments; never runs anything here.
  template <OpId op, class Params>
  void submit(const Params& p) {
    static_assert(std::is_trivially_copyable_v<Params>);
    Check verify(name_of(op));
    check(p, verify);
    if (verify.writes_nothing()) return;
    const DescribeFn describe = [](const void* params) {
      Check c(name_of(op), Check::Mode::describe);
      check(*static_cast<const Params*>(params), c);
      return c.description();
    };
    enqueue({device_->ops()[static_cast<int>(op)], describe, op, sizeof(Params)}, &p);
  }

  /// Grows while the commands of the stream go on (Executor::progress). Any thread, never waits.
  uint64_t progress() const { return executor_->progress(); }

  /// Queues host work: copies, reads, releases, replays.
  void host(HostFn fn);

  /// Keeps `object`, memory or a graph, until everything queued so far has run.
  void release(std::shared_ptr<void> object);

  void begin_capture();
  std::shared_ptr<Graph> end_capture();
  bool capturing() const { return recording_ != nullptr; }
  /// Records every command that is queued from here on, at most `most_rows` of them. Throws Error(type) while
  /// a trace is open or a capture runs.
  void begin_trace(size_t most_rows);
  /// Ends the trace. `done` gets it, or a failure, on any thread once the device has done what was recorded.
  using TraceFn = std::function<void(const Trace* trace, const StreamFailure* failure)>;
  void end_trace(TraceFn done);

  /// While capturing: keeps `memory` alive for as long as the graph.
  void retain(const MemoryRef& memory);

 private:
  void enqueue(const Command& head, const void* params);
  void push(const Command& head, const void* params);
  void push_host(HostFn fn);
  void work();
  void wait_for_commands();
  void run_batch();
  void run(const Command& command);

  std::shared_ptr<Device> device_;
  std::unique_ptr<Executor> executor_;
  std::shared_ptr<Graph> recording_;
  bool traced_ = false;

  std::mutex mutex_;  // guards queued_, sleeping_
  std::condition_variable wake_;
  CommandList queued_;
  bool sleeping_ = false;
  std::atomic<uint64_t> published_{0};  // commands pushed so far; the worker spins on it before it sleeps
  std::atomic<bool> stopping_{false};

  uint64_t taken_ = 0;                    // worker only
  CommandList batch_;                     // worker only
  std::optional<StreamFailure> failure_;  // worker only
  Threads worker_;
};

}  // namespace warploop
