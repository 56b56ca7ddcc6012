// What the race checker keeps per cluster, from the start of its first block to the next start.
#pragma once
#include <bit>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "simt/model.h"
#include "simt/race.h"
#include "simt/race_memory.h"

namespace warploop::simt::race {

/// end: of a block.
enum class AgentKind { load, store, product, end };

/// Agents, and a step of each.
using Steps = std::vector<std::pair<uint16_t, uint32_t>>;

/// A thread in mbarrier_wait, or past it.
struct Wait {
  uint16_t agent = 0;
  int thread = 0, block = 0;  // in the block; in the cluster
  Site site{};
  bool due = false;   // the phase is over
  bool left = false;  // the thread has gone on, at `step`
  uint32_t step = 0;
  std::vector<std::shared_ptr<const Steps>> together;  // that warp operations put after it
  bool met = false;                                    // the whole warp is among them
};

/// A barrier: what came before its arrivals.
struct Object {
  Gathering open;                                 // of the phase that goes on
  Knowledge done;                                 // of all phases before
  ClockPtr last_known, joined_with, last_joined;  // the join that was computed last
  std::vector<std::shared_ptr<Wait>> waits;       // of an mbarrier
};

struct Report {
  Conflict conflict;
  const Block* block;  // whose shared memory it is; null: global memory
  Thread* thread;      // that ran; null: none
};

class Races final : public Attachment {
 public:
  Races(Cluster& cluster, size_t threads_of_block);

  View& view(const Thread& thread);
  Object& object(const void* address) { return objects_[address]; }
  Memory& memory(const Block& block) { return memories_[static_cast<size_t>(block.rank)]; }

  /// Loads that count at one mbarrier, stores of one thread, products of one warp are one agent each.
  uint16_t agent_of(const void* object, AgentKind kind);
  /// The agent's next operation.
  Moment begin(uint16_t agent, Gathering& before);

  /// Keeps the first conflict. It is raised by the next operation of the emulator: instrumented code may not
  /// throw.
  void note(std::optional<Conflict> conflict, const Block* block);
  void raise();

  /// Waits of the warp's threads that no operation of the whole warp has followed yet.
  std::vector<std::shared_ptr<Wait>>& waits_of(const Warp& warp) {
    return waits_[static_cast<size_t>(warp.block->rank) * ((threads_of_block_ + 31) / 32) +
                  static_cast<size_t>(warp.number)];
  }

  uint32_t cluster() const { return cluster_; }
  size_t threads_of_block() const { return threads_of_block_; }
  size_t threads() const { return views_.size(); }
  std::pair<AgentKind, const void*> name(uint16_t agent) const { return names_[agent - views_.size()]; }

 private:
  uint32_t cluster_;
  size_t threads_of_block_;
  std::vector<std::vector<std::shared_ptr<Wait>>> waits_;  // per warp
  std::vector<View> views_;                                // of the threads
  std::vector<Memory> memories_;
  std::unordered_map<const void*, Object> objects_;
  std::map<std::pair<const void*, AgentKind>, uint16_t> agents_;
  std::vector<std::pair<AgentKind, const void*>> names_;  // of those after the threads
  std::vector<uint32_t> steps_;
  std::optional<Report> report_;
};

Races& races_of(const Block& block);

inline Place place_of(Site site) {
  static_assert(sizeof(Site) == sizeof(uintptr_t));  // a pointer to a constant
  return {std::bit_cast<uintptr_t>(site), true};
}

template <class Visit>
void for_each_lane(Warp& warp, uint32_t lanes, Visit visit) {
  for (; lanes; lanes &= lanes - 1) visit(warp.threads[std::countr_zero(lanes)]);
}

/// Fails unless all waits for the phase before are over before the barrier's phase that ends now.
void check_waits(Object& object);

/// A plain access of a kernel, anywhere.
void access(Thread& thread, const void* p, size_t bytes, Kind kind, Place place);

}  // namespace warploop::simt::race
