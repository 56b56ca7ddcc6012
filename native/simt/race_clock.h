// Vector clocks (Lamport; Mattern, "Virtual time and global states of distributed systems", 1988). Agents are
// the threads of a cluster and what works beside them: the tensor cores of each warp, the copy engine. An
// agent counts its own steps; a clock says up to which step of every agent something is known.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace warploop::simt::race {

using Clock = std::vector<uint32_t>;  // per agent; what is missing is 0
/// Never changed once it is here, so that the threads that leave a barrier share one. Null: nothing is known.
using ClockPtr = std::shared_ptr<const Clock>;

inline uint32_t entry(const Clock* clock, size_t agent) {
  return clock && agent < clock->size() ? (*clock)[agent] : 0;
}
inline uint32_t entry(const ClockPtr& clock, size_t agent) { return entry(clock.get(), agent); }

/// The larger of both, entry by entry.
ClockPtr joined(const ClockPtr& a, const ClockPtr& b);

/// What is known of the agents of other clusters, by the cluster's number in the launch, ascending. Only
/// fences and atomics of device scope carry it from one cluster to another.
using DeviceClock = std::vector<std::pair<uint32_t, ClockPtr>>;
using DevicePtr = std::shared_ptr<const DeviceClock>;  // as ClockPtr
DevicePtr joined(const DevicePtr& a, const DevicePtr& b);

struct Knowledge {
  ClockPtr known;     // whose accesses come before its own; of the agent itself all do
  ClockPtr fenced;    // plain writes that the copy engine and the tensor cores see
  DevicePtr others;   // as `known`, of other clusters
  DevicePtr visible;  // what fences have made visible to the device: what a relaxed atomic tells others
  DevicePtr heard;    // what atomics have heard from others: a fence makes it `others`

  void learn(const Knowledge& more);
};

/// What an agent is and knows at a step.
struct View : Knowledge {
  uint16_t agent = 0;
  uint32_t cluster = 0;
  uint32_t step = 1;
};

/// The knowledge of several agents of a cluster put together.
class Gathering {
 public:
  void add(const View& view);
  /// Empties it.
  Knowledge take();
  /// Whether step `step` of an agent of the same cluster comes before what has been gathered.
  bool covers(uint16_t agent, uint32_t step) const { return agent < known_.size() && known_[agent] >= step; }

 private:
  static void add(Clock& sum, ClockPtr& last, const ClockPtr& clock);
  static ClockPtr take(Clock& sum, ClockPtr& last);

  Clock known_, fenced_;
  ClockPtr last_known_, last_fenced_;  // added last: neighbours often bring the same
  DevicePtr others_, visible_, heard_;
};

}  // namespace warploop::simt::race
