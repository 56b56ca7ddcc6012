// Fills host memory by several threads: one core copies (or reads from the page cache) at a fraction of what
// PCIe takes.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>

#include "core/threads.h"

namespace warploop::cuda {

/// Writes the bytes [at, at + count) of a source to `to`. Called by several threads at once; may throw.
using Fill = std::function<void(std::byte* to, size_t at, size_t count)>;

class ParallelFill {
 public:
  ParallelFill() = default;
  ~ParallelFill();
  /// Fills `to` with the bytes [at, at + count) of the source. Returns when everything is there. Throws
  /// what `fill` threw first. One caller at a time.
  void fill(std::byte* to, size_t at, size_t count, const Fill& fill);

 private:
  static constexpr size_t kSmallestShare = 1u << 20;  // below it waking a thread costs more than it brings
  static constexpr size_t kHelpers = 3;
  struct Share {
    std::byte* to = nullptr;
    size_t at = 0;
    size_t count = 0;  // 0: nothing to do
    const Fill* fill = nullptr;
  };
  void help(Share& share);
  void run(const Share& share);

  std::mutex mutex_;  // guards the rest
  std::condition_variable wake_, done_;
  Share shares_[kHelpers];
  size_t open_ = 0;  // shares that are not filled yet
  std::exception_ptr failure_;
  bool stopping_ = false;
  Threads helpers_;  // started by the first large fill
};

}  // namespace warploop::cuda
