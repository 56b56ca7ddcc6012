// memcpy by several threads: one core copies (or reads from the page cache) at a fraction of what PCIe takes.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace warploop::cuda {

class ParallelCopy {
 public:
  ParallelCopy() = default;
  ~ParallelCopy();
  /// Returns when everything is copied. One caller at a time.
  void copy(std::byte* to, const std::byte* from, size_t bytes);

 private:
  static constexpr size_t kSmallestShare = 1u << 20;  // below it waking a thread costs more than it brings
  static constexpr size_t kHelpers = 3;

  struct Share {
    std::byte* to = nullptr;
    const std::byte* from = nullptr;
    size_t bytes = 0;  // 0: nothing to do
  };

  void start();
  void help(Share& share);

  std::mutex mutex_;  // guards the rest
  std::condition_variable wake_, done_;
  Share shares_[kHelpers];
  size_t open_ = 0;  // shares that are not copied yet
  bool stopping_ = false;
  std::vector<std::thread> helpers_;  // started by the first large copy
};

}  // namespace warploop::cuda
