// What a grammar and a text may take: who passes them is told that it is too complex, and nobody else waits.
#pragma once
#include <cstdint>

#include "core/error.h"

namespace warploop::grammar {

struct Limits {
  /// Regular expressions, derivatives included, and what they consist of.
  int64_t expressions = 400'000, parts = 2'000'000;
  /// Of an expression: derivatives are made by recursion, on the stack of a thread.
  int64_t depth = 500;
  /// States of terminals.
  int64_t states = 100'000;
  /// Of expressions by class of bytes, and of states.
  int64_t transitions = 8'000'000;
  /// Parse items of one text, and threads of it.
  int64_t items = 4'000'000;
  /// Of one call at most, in Fuel's units.
  int64_t work = 20'000'000;
  /// Of a call that others wait for: what takes more is done on another thread.
  int64_t quick_work = 200'000;
  /// Of adding a token, which nothing can put off: a few rows, and most of what it needs a mask has made.
  int64_t accept_work = 1'000'000;
  /// What a text has more of it with each call, up to `work`: so many calls in a row cost no more than this.
  int64_t work_per_call = 4'000'000;
};

/// Throws when `count` is more than there may be.
inline void require_simple(int64_t count, int64_t limit, const char* what) {
  if (count <= limit) return;
  fail(ErrorKind::range, "the grammar is too complex: it needs more than ", limit, " ", what);
}

/// Work that one call may still do: the thread that it runs on has others to serve. A unit is about what is
/// done for a node of a trie, some nanoseconds; what a call takes depends on what calls before it have found.
class Fuel {
 public:
  explicit Fuel(int64_t units) : left_(units) {}
  void refill(int64_t units) { left_ = units; }
  int64_t left() const { return left_; }
  void spend(int64_t units) {
    left_ -= units;
    if (left_ < 0) fail(ErrorKind::range, "the grammar is too complex: a step takes too much time");
  }

 private:
  int64_t left_;
};

}  // namespace warploop::grammar
