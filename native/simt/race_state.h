// What the race checker keeps per cluster, from the start of its first block to the next start.
#pragma once
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "simt/model.h"
#include "simt/race.h"
#include "simt/race_memory.h"

namespace warploop::simt::race {

enum class AgentKind { load, store, product };

/// A barrier: what came before its arrivals.
struct Object {
  Gathering open;                                 // of the phase that goes on
  ClockPtr done_known, done_fenced;               // of all phases before
  ClockPtr last_known, joined_with, last_joined;  // the join that was computed last
};

struct Report {
  Conflict conflict;
  const Block* block;  // whose shared memory it is
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
  void note(std::optional<Conflict> conflict, const Block& block);
  void raise();

  size_t threads_of_block() const { return threads_of_block_; }
  size_t threads() const { return views_.size(); }
  std::pair<AgentKind, const void*> name(uint16_t agent) const { return names_[agent - views_.size()]; }

 private:
  size_t threads_of_block_;
  std::vector<View> views_;  // of the threads
  std::vector<Memory> memories_;
  std::unordered_map<const void*, Object> objects_;
  std::map<std::pair<const void*, AgentKind>, uint16_t> agents_;
  std::vector<std::pair<AgentKind, const void*>> names_;  // of those after the threads
  std::vector<uint32_t> steps_;
  std::optional<Report> report_;
};

Races& races_of(const Block& block);

/// A plain access of a kernel, anywhere.
void access(Thread& thread, const void* p, size_t bytes, Kind kind, Place place);

}  // namespace warploop::simt::race
