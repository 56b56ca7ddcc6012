// What a grammar and a text may take: who passes them is told that it is too complex, and nobody else waits.
#pragma once
#include <cstdint>

#include "core/error.h"

namespace warploop::grammar {

struct Limits {
  /// Regular expressions, derivatives included, and what they consist of.
  int64_t expressions = 400'000, parts = 4'000'000;
  /// States of terminals.
  int64_t states = 100'000;
  /// Parse items of one text.
  int64_t items = 4'000'000;
};

/// Throws when `count` is more than there may be.
inline void require_simple(int64_t count, int64_t limit, const char* what) {
  if (count <= limit) return;
  fail(ErrorKind::range, "the grammar is too complex: it needs more than ", limit, " ", what);
}

}  // namespace warploop::grammar
