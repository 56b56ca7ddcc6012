#include "cuda/parallel_fill.h"

#include <algorithm>
#include <utility>

namespace warploop::cuda {

ParallelFill::~ParallelFill() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  helpers_.join();
}

void ParallelFill::fill(std::byte* to, size_t at, size_t count, const Fill& fill) {
  size_t helpers = std::min(kHelpers, count / kSmallestShare);
  if (helpers > 0 && helpers_.count() == 0) {
    helpers_.start_some(kHelpers, [this](size_t i) { help(shares_[i]); });
  }
  helpers = std::min(helpers, helpers_.count());
  if (helpers == 0) return fill(to, at, count);
  const size_t share = count / (helpers + 1);
  {
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < helpers; i++) shares_[i] = {to + i * share, at + i * share, share, &fill};
    open_ = helpers;
  }
  wake_.notify_all();
  const size_t own = helpers * share;
  run({to + own, at + own, count - own, &fill});
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return open_ == 0; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ParallelFill::help(Share& share) {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || share.count > 0; });
    if (stopping_) return;
    const Share work = share;
    lock.unlock();
    run(work);
    lock.lock();
    share.count = 0;
    if (--open_ == 0) done_.notify_one();
  }
}

/// Keeps what it throws for the caller of `fill`.
void ParallelFill::run(const Share& share) {
  try {
    (*share.fill)(share.to, share.at, share.count);
  } catch (...) {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

}  // namespace warploop::cuda
