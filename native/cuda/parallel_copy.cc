#include "cuda/parallel_copy.h"

#include <algorithm>
#include <cstring>

namespace warploop::cuda {

ParallelCopy::~ParallelCopy() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void ParallelCopy::copy(std::byte* to, const std::byte* from, size_t bytes) {
  const size_t helpers = std::min(kHelpers, bytes / kSmallestShare);
  if (helpers == 0) {
    std::memcpy(to, from, bytes);
    return;
  }
  start();
  const size_t share = bytes / (helpers + 1);
  {
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < helpers; i++) shares_[i] = {to + i * share, from + i * share, share};
    open_ = helpers;
  }
  wake_.notify_all();
  const size_t own = helpers * share;
  std::memcpy(to + own, from + own, bytes - own);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return open_ == 0; });
}

void ParallelCopy::start() {
  if (!helpers_.empty()) return;
  for (Share& share : shares_) helpers_.emplace_back([this, &share] { help(share); });
}

void ParallelCopy::help(Share& share) {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || share.bytes > 0; });
    if (stopping_) return;
    const Share work = share;
    lock.unlock();
    std::memcpy(work.to, work.from, work.bytes);
    lock.lock();
    share.bytes = 0;
    if (--open_ == 0) done_.notify_one();
  }
}

}  // namespace warploop::cuda
