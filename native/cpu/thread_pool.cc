#include "cpu/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/pause.h"

namespace warploop::cpu {

namespace {

// Bridges the gap between two ops of a step; beyond it the helper sleeps on a futex.
constexpr auto kSpin = std::chrono::microseconds(50);

template <class Ready>
bool spin_until(const Ready& ready) {
  const auto until = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; i++) {
      if (ready()) return true;
      cpu_pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  return ready();
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  helpers_.start(
      "cpu", static_cast<size_t>(std::max(threads - 1, 0)),
      [this](size_t i) { help(static_cast<int>(i) + 1); }, [this] { stop(); });
}

ThreadPool::~ThreadPool() {
  stop();
  helpers_.join();
}

void ThreadPool::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_.store(true);
  }
  wake_.notify_all();
}

void ThreadPool::parallel_for(int64_t count, int64_t grain, Piece piece, const void* body) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (helpers_.count() == 0 || count <= grain) return piece(body, 0, count, 0);

  std::lock_guard turn(entry_);
  loop_ = {piece, body, count, grain};
  next_.store(0, std::memory_order_relaxed);
  epoch_.fetch_add(1);  // open (odd)
  if (sleepers_.load() > 0) {
    { std::lock_guard lock(mutex_); }  // a helper between its last look and its sleep must see the open loop
    wake_.notify_all();
  }
  run_pieces(0);
  epoch_.fetch_add(1);  // closed: helpers that come late find it so and leave
  if (!spin_until([&] { return inside_.load() == 0; })) {
    while (inside_.load() != 0) std::this_thread::yield();
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::run_pieces(int thread) {
  const Loop loop = loop_;
  for (;;) {
    const int64_t begin = next_.fetch_add(loop.grain, std::memory_order_relaxed);
    if (begin >= loop.count) return;
    try {
      loop.piece(loop.body, begin, std::min(begin + loop.grain, loop.count), thread);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!error_ || begin < error_begin_) {
        error_ = std::current_exception();
        error_begin_ = begin;
      }
      next_.store(loop.count, std::memory_order_relaxed);
    }
  }
}

void ThreadPool::help(int thread) {
  uint64_t seen = 0;
  while (wait_for_loop(seen)) {
    // Announce first, then look again: either this helper sees the loop closed, or the owner sees it inside
    // and waits.
    inside_.fetch_add(1);
    const uint64_t epoch = epoch_.load();
    if (epoch & 1) run_pieces(thread);
    inside_.fetch_sub(1);
    seen = epoch;
  }
}

/// Waits for an open loop newer than `seen`; false when the pool stops.
bool ThreadPool::wait_for_loop(uint64_t seen) {
  const auto ready = [&] {
    const uint64_t epoch = epoch_.load();
    return ((epoch & 1) && epoch > seen) || stopping_.load();
  };
  if (!spin_until(ready)) {
    std::unique_lock lock(mutex_);
    sleepers_.fetch_add(1);
    wake_.wait(lock, ready);
    sleepers_.fetch_sub(1);
  }
  return !stopping_.load();
}

}  // namespace warploop::cpu
