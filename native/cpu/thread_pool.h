// Parallel loops over a fixed set of threads.
//
// Work is handed out in small pieces from one counter, and a loop ends when the pieces are done, not when
// every helper has shown up: a helper that the operating system has put aside costs its one piece, never the
// whole loop. Helpers spin for a bounded time and then sleep; that is what keeps decoding fast when another
// process takes a core (peers with spin barriers drop to a tenth there).
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>

#include "core/threads.h"

namespace warploop::cpu {

class ThreadPool {
 public:
  /// `threads` counts the caller of parallel_for: threads - 1 helpers are started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  int threads() const { return static_cast<int>(helpers_.count()) + 1; }

  /// One piece of a loop: items [begin, end), run by thread `thread` (0 = the caller).
  using Piece = void (*)(const void* body, int64_t begin, int64_t end, int thread);

  /// Runs items [0, count) in pieces of `grain`. Rethrows the exception of the first piece that has one:
  /// pieces are handed out in order, so whichever thread fails first, those before it are run to their ends.
  /// Loops of several streams take turns. One piece, or one thread, runs inline.
  void parallel_for(int64_t count, int64_t grain, Piece piece, const void* body);

 private:
  void stop();
  void help(int thread);
  void run_pieces(int thread);
  bool wait_for_loop(uint64_t seen);

  struct alignas(64) Loop {
    Piece piece = nullptr;
    const void* body = nullptr;
    int64_t count = 0;
    int64_t grain = 1;
  } loop_;
  alignas(64) std::atomic<int64_t> next_{0};    // first item nobody has taken
  alignas(64) std::atomic<int> inside_{0};      // helpers that may touch loop_
  alignas(64) std::atomic<uint64_t> epoch_{0};  // odd: a loop is open; even: closed
  std::atomic<bool> stopping_{false};

  std::mutex entry_;  // one loop at a time
  std::mutex mutex_;  // sleepers_, error_, error_begin_
  std::condition_variable wake_;
  std::atomic<int> sleepers_{0};
  std::exception_ptr error_;
  int64_t error_begin_ = 0;  // first item of its piece
  Threads helpers_;
};

/// parallel_for with a lambda `body(begin, end, thread)`.
template <class Body>
void parallel_for(ThreadPool& pool, int64_t count, int64_t grain, const Body& body) {
  pool.parallel_for(
      count, grain,
      [](const void* b, int64_t begin, int64_t end, int thread) {
        (*static_cast<const Body*>(b))(begin, end, thread);
      },
      &body);
}

}  // namespace warploop::cpu
