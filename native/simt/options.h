// What the environment says about a run. Read once; a value that is not understood is an error.
#pragma once
#include <cstdint>

namespace warploop::simt {

enum class Schedule { fifo, random, priority };
enum class Landing { early, late, random };

struct Options {
  uint64_t seed = 1;                     // WARPLOOP_SIMT_SEED
  Schedule schedule = Schedule::random;  // WARPLOOP_SIMT_SCHEDULE: which thread runs next
  Landing async = Landing::random;       // WARPLOOP_SIMT_ASYNC: when an asynchronous operation takes effect
  bool poison = true;                    // WARPLOOP_SIMT_POISON: fill what is not written yet with 0xff (NaN)
  int resident = 2;  // WARPLOOP_SIMT_RESIDENT: clusters (or blocks) that run at the same time
};

/// Throws Error(range) when a variable holds something else than the above.
const Options& options();

}  // namespace warploop::simt
