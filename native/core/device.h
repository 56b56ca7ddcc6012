// What a device is to the rest of the house: memory, a table of ops, and executors that run commands in
// order.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/command_list.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/trace.h"

namespace warploop {

class Graph;
class WeightFile;

/// Why a stream is poisoned.
struct StreamFailure {
  std::string op;
  std::string message;
};

/// What a command has thrown, in the name of its op and with its tensors.
class CommandError : public Error {
 public:
  CommandError(const Command& c, const std::exception& e)
      : Error(ErrorKind::execution,
              concat(name_of(c.op), ": ", e.what(), c.describe ? " (" + c.describe(c.params()) + ")" : "")),
        op_(c.op) {}
  StreamFailure failure() const { return {name_of(op_), what()}; }

 private:
  OpId op_;
};

/// Lives on the worker thread of one stream and runs its commands. A device whose work is asynchronous (CUDA)
/// issues it here and returns; `then` is how the stream learns that it has finished.
class Executor {
 public:
  /// Called once, by any thread; `failure` is null when everything before went well.
  using Done = std::function<void(const StreamFailure* failure)>;

  virtual ~Executor() = default;
  /// `host` is read before the call returns.
  virtual void copy_from_host(void* device, const void* host, size_t bytes) = 0;
  /// Bytes [offset, offset + bytes) of a file. Throws Error(execution) when they cannot be read.
  virtual void copy_from_file(void* device, const WeightFile& file, size_t offset, size_t bytes) = 0;
  /// `host` is written before the `done` of a later `then` is called.
  virtual void copy_to_host(void* host, const void* device, size_t bytes) = 0;
  /// Calls `done` once everything issued so far has finished.
  virtual void then(Done done) = 0;
  /// Runs a recorded command list.
  virtual void replay(Graph& graph) = 0;
  /// A failure that came to light after the command that caused it had returned. Null: none so far.
  virtual const StreamFailure* late_failure() const { return nullptr; }

  /// Runs one command of a stream or of a graph, as a row of the trace if one is open. Throws CommandError.
  void execute(const Command& command) {
    try {
      if (trace_) [[unlikely]] {
        run_traced(command);
      } else {
        command.run(command.params(), *this);
      }
    } catch (const std::exception& e) {
      throw CommandError(command, e);
    }
  }
  /// `body` is a copy between host and device: a row of the trace, too.
  template <class Body>
  void copy(const char* name, size_t bytes, Body&& body) {
    if (!trace_) return body();
    const auto run = [&] {
      body();
      return CommandNote{};
    };
    trace_->record(name, bytes, run, [] { return std::string(); });
  }
  void begin_trace(size_t most_rows) { trace_ = std::make_shared<Trace>(trace_clock(), most_rows); }
  std::shared_ptr<Trace> end_trace() { return std::exchange(trace_, nullptr); }

  /// Counts what has ended: commands, those of replays one by one, and what the device reports later. For a
  /// watchdog on any thread: a number that stands still means that one piece of work does not end.
  uint64_t progress() const { return progress_.load(std::memory_order_relaxed); }
  void advance() { progress_.fetch_add(1, std::memory_order_relaxed); }

  /// Tells this executor from every other of the process, also from those that have ended.
  uint64_t id() const { return id_; }

 protected:
  bool is_traced() const { return trace_ != nullptr; }

 private:
  void run_traced(const Command& command) {
    const auto run = [&] {
      command.run(command.params(), *this);
      return take_note();
    };
    trace_->record(name_of(command.op), 0, run,
                   [&] { return command.describe ? command.describe(command.params()) : std::string(); });
  }
  virtual std::unique_ptr<TraceClock> trace_clock() = 0;
  /// What the launchers have said of the command that has run; the next one starts afresh.
  virtual CommandNote take_note() = 0;

  std::shared_ptr<Trace> trace_;  // null: none is open
  static inline std::atomic<uint64_t> next_id_{1};
  const uint64_t id_ = next_id_.fetch_add(1);
  std::atomic<uint64_t> progress_{0};
};

/// What a device says about itself.
struct DeviceInfo {
  std::string model;               // the name of the hardware, "NVIDIA H200"; empty for the CPU
  std::string isa;                 // what its kernels are compiled for: "avx512", "sm_90"
  int threads = 0;                 // of the CPU device, else 0
  int processors = 0;              // multiprocessors of a GPU, else 0
  std::vector<DType> fast_dtypes;  // float dtypes whose matrix products the hardware computes
};

/// Device memory in bytes. For the CPU: that of the machine.
struct MemoryInfo {
  size_t free = 0;
  size_t total = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  /// "cpu", "cuda:0"
  virtual const std::string& name() const = 0;
  virtual DeviceInfo info() const = 0;
  virtual MemoryInfo memory() const = 0;
  /// Uninitialised memory, aligned to 64 bytes. Throws OutOfMemory.
  virtual MemoryRef allocate(size_t bytes) = 0;
  virtual std::unique_ptr<Executor> create_executor() = 0;
  virtual const OpTable& ops() const = 0;
  /// Formats of weights that its ops take, format_bit of formats/weight_view.h each.
  virtual unsigned weight_formats() const = 0;
  /// What x may become in its products with codes, activation_bit of formats/weight_view.h each.
  virtual unsigned activation_types() const = 0;
};

}  // namespace warploop
