// Vector clocks (Lamport; Mattern, "Virtual time and global states of distributed systems", 1988). Agents are
// the threads of a cluster and what works beside them: the tensor cores of each warp, the copy engine. An
// agent counts its own steps; a clock says up to which step of every agent something is known.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace warploop::simt::race {

using Clock = std::vector<uint32_t>;  // per agent; what is missing is 0
/// Never changed once it is here, so that the threads that leave a barrier share one. Null: nothing is known.
using ClockPtr = std::shared_ptr<const Clock>;

inline uint32_t entry(const ClockPtr& clock, size_t agent) {
  return clock && agent < clock->size() ? (*clock)[agent] : 0;
}

/// The larger of both, entry by entry.
ClockPtr joined(const ClockPtr& a, const ClockPtr& b);

/// What an agent is and knows at a step.
struct View {
  uint16_t agent = 0;
  uint32_t step = 1;
  ClockPtr known;   // whose accesses come before its own; of the agent itself all do
  ClockPtr fenced;  // plain writes that the copy engine and the tensor cores see
};

/// The knowledge of several agents put together.
class Gathering {
 public:
  void add(const View& view);
  /// Empties it.
  ClockPtr take_known() { return take(known_, last_known_); }
  ClockPtr take_fenced() { return take(fenced_, last_fenced_); }

 private:
  static void add(Clock& sum, ClockPtr& last, const ClockPtr& clock);
  static ClockPtr take(Clock& sum, ClockPtr& last);

  Clock known_, fenced_;
  ClockPtr last_known_, last_fenced_;  // added last: neighbours often bring the same
};

}  // namespace warploop::simt::race
