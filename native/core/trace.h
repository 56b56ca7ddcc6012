// What a stream records while a trace is open: one row per command, with marks of time before and behind it.
//
// Threads: `record` belongs to the stream's worker; the rest to whoever got the trace when it had ended.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace warploop {

/// What launchers say about the command that runs. They write it whether a trace is open or not: some stores
/// cost less than to ask. Texts are literals.
struct CommandNote {
  /// A kernel that the op passed over.
  struct Refusal {
    const char* kernel;
    const char* reason;
  };
  static constexpr int kMostRefusals = 24;

  const char* kernel = nullptr;  // the candidate that the op chose; null: it has one kernel alone
  uint32_t launches = 0;
  int num_refusals = 0;
  Refusal refusals[kMostRefusals];  // uninitialised behind the first num_refusals
};

/// How a device tells the time at points of a stream's work.
class TraceClock {
 public:
  virtual ~TraceClock() = default;
  /// Marks this point. Marks are numbered from 0.
  virtual void mark() = 0;
  /// Microseconds between two marks that the device has passed. Throws Error(execution).
  virtual double between(size_t from, size_t to) const = 0;
};

/// For a device whose work is done when a command returns.
class HostClock final : public TraceClock {
 public:
  void mark() override { marks_.push_back(std::chrono::steady_clock::now()); }
  double between(size_t from, size_t to) const override {
    return std::chrono::duration<double, std::micro>(marks_[to] - marks_[from]).count();
  }

 private:
  std::vector<std::chrono::steady_clock::time_point> marks_;
};

struct TraceRow {
  const char* op;
  std::string tensors;  // of an op, with their sizes
  CommandNote note;
  uint64_t bytes;  // of a copy between host and device, else 0
  size_t begin;    // marks
  size_t end;
};

class Trace {
 public:
  Trace(std::unique_ptr<TraceClock> clock, size_t most_rows)
      : clock_(std::move(clock)), most_rows_(most_rows) {
    mark();
  }

  /// Runs `body`, which returns its note, as one row; `describe` says of which tensors, after its time.
  /// A row of what throws is not kept.
  template <class Body, class Describe>
  void record(const char* op, uint64_t bytes, Body&& body, Describe&& describe) {
    if (rows_.size() == most_rows_) {
      missed_++;
      body();
      return;
    }
    const size_t begin = mark();
    const CommandNote note = body();
    const size_t end = mark();
    rows_.push_back({op, describe(), note, bytes, begin, end});
  }

  const std::vector<TraceRow>& rows() const { return rows_; }
  /// Commands that ran when there was no row left for them.
  uint64_t missed() const { return missed_; }
  /// Microseconds since the trace began, of each mark: what the mark before has, and the time between them. A
  /// device's clock has few digits for what is long ago (CUDA: a float of milliseconds), and rows may not
  /// overlap.
  std::vector<double> times() const {
    std::vector<double> times(marks_);
    for (size_t i = 1; i < marks_; i++) times[i] = times[i - 1] + clock_->between(i - 1, i);
    return times;
  }
  /// Microseconds.
  double duration(const TraceRow& row) const { return clock_->between(row.begin, row.end); }

 private:
  size_t mark() {
    clock_->mark();
    return marks_++;
  }

  std::unique_ptr<TraceClock> clock_;
  const size_t most_rows_;
  size_t marks_ = 0;
  std::vector<TraceRow> rows_;
  uint64_t missed_ = 0;
};

}  // namespace warploop
