// The race checker of docs/simt.md. Two accesses of which one writes need an order that real synchronisation
// gives, whatever order they happened to run in: vector clocks say whether they have it. So a mistake shows
// without luck, on any schedule. (Pozniansky, Schuster, "Efficient on-the-fly data race detection in
// multithreaded C++ programs", 2003; ThreadSanitizer.)
//
// Kernels are compiled with -fsanitize=thread, which puts a call before each of their accesses; the calls
// come to race_callbacks.cc, not to the sanitizer's own library.
#include "simt/race.h"

#include "simt/diagnostics.h"
#include "simt/fiber.h"
#include "simt/race_global.h"
#include "simt/race_report.h"
#include "simt/race_state.h"
#include "simt/runtime/memory.h"

namespace warploop::simt::race {
namespace {

/// What all `lanes` know together, to each of them.
void share(Gathering& all, Races& races, Warp& warp, uint32_t lanes) {
  const Knowledge sum = all.take();
  for_each_lane(warp, lanes, [&](Thread& thread) {
    View& view = races.view(thread);
    static_cast<Knowledge&>(view) = sum;
    view.step++;
  });
}

/// Of a thread that has not waited for the kernels before, whoever they are.
Conflict early_access(const View& me, Kind kind, const void* p, Place place) {
  Access now{place.value, me.step, me.cluster, me.agent};
  now.is_site = place.is_site;
  now.atomic = kind == Kind::atomic;
  now.writes = kind != Kind::read;
  return {"comes before wait_for_predecessors()", reinterpret_cast<size_t>(p), now, {}};
}

/// `known`, and the operation and those of its agent before it.
ClockPtr with(const ClockPtr& known, const Moment& operation) {
  if (entry(known, operation.agent) >= operation.step) return known;
  auto more = known ? std::make_shared<Clock>(*known) : std::make_shared<Clock>();
  if (more->size() <= operation.agent) more->resize(operation.agent + 1u, 0);
  (*more)[operation.agent] = operation.step;
  return more;
}

}  // namespace

Races::Races(Cluster& cluster, size_t threads_of_block)
    : cluster_(cluster.number), threads_of_block_(threads_of_block), memories_(cluster.blocks.size()) {
  const size_t threads = threads_of_block * cluster.blocks.size();
  views_.resize(threads);
  for (size_t i = 0; i < threads; i++) {
    views_[i].agent = static_cast<uint16_t>(i);
    views_[i].cluster = cluster_;
  }
  waits_.resize((threads_of_block + 31) / 32 * cluster.blocks.size());
}

View& Races::view(const Thread& thread) {
  return views_[static_cast<size_t>(thread.warp->block->rank) * threads_of_block_ +
                static_cast<size_t>(thread.number)];
}

uint16_t Races::agent_of(const void* object, AgentKind kind) {
  const auto [found, fresh] =
      agents_.try_emplace({object, kind}, static_cast<uint16_t>(views_.size() + names_.size()));
  if (fresh) {
    names_.push_back({kind, object});
    steps_.push_back(1);
  }
  return found->second;
}

Moment Races::begin(uint16_t agent, Gathering& before) {
  return {before.take(), agent, cluster_, steps_[agent - views_.size()]++};
}

void Races::note(std::optional<Conflict> conflict, const Block* block) {
  if (conflict && !report_) report_ = Report{*conflict, block, current_thread};
}

void Races::raise() {
  if (!report_) return;
  const Report report = *report_;
  report_.reset();
  current_thread = report.thread;  // its name belongs in front of the text; nobody comes back here
  fail("race", Site{}, describe(*this, report));
}

Races& races_of(const Block& block) { return static_cast<Races&>(*block.cluster->blocks[0]->race); }

void block_started(Block& block) {
  if (block.rank == 0) block.race = std::make_unique<Races>(*block.cluster, block.threads.size());
  races_of(block).memory(block).open(block.shared.bytes(), false);
}

void block_ended(Block& block) {
  Races& races = races_of(block);
  races.raise();
  if (block.cluster->blocks.size() == 1) return;
  // Its shared memory goes with it: a write behind all that its threads know of, which peers have to be done
  // before, and which none of them may come after.
  Gathering before;
  for (const Thread& thread : block.threads) before.add(races.view(thread));
  const Moment end = races.begin(races.agent_of(&block, AgentKind::end), before);
  races.note(races.memory(block).access(end, Kind::write, false, 0, block.shared.bytes(), {}), &block);
  races.raise();
}

void read(Thread& thread, const void* p, size_t bytes, Site site) {
  access(thread, p, bytes, Kind::read, place_of(site));
  races_of(*thread.warp->block).raise();
}

void write(Thread& thread, void* p, size_t bytes, Site site) {
  access(thread, p, bytes, Kind::write, place_of(site));
  races_of(*thread.warp->block).raise();
}

void access(Thread& thread, const void* p, size_t bytes, Kind kind, Place place) {
  Block* owner = thread.warp->block;
  if (!owner->shared.holds(p)) {
    owner = nullptr;
    for (const auto& peer : thread.warp->block->cluster->blocks) {
      if (peer->shared.holds(p)) owner = peer.get();
    }
  }
  Races& races = races_of(*thread.warp->block);
  if (!owner) {
    if (!thread.fiber || thread.fiber->holds(p)) return;
    if (!thread.waited && runtime::is_device_memory(p, 1)) {
      races.note(early_access(races.view(thread), kind, p, place), nullptr);
      return;
    }
    races.note(GlobalMemory::of_launch().access(races.view(thread), kind, false, p, bytes, place), nullptr);
    return;
  }
  const size_t offset = static_cast<size_t>(static_cast<const std::byte*>(p) - owner->shared.data());
  races.note(races.memory(*owner).access(races.view(thread), kind, false, offset, bytes, place), owner);
}

void warp_synchronized(Warp& warp, uint32_t lanes) {
  Races& races = races_of(*warp.block);
  races.raise();
  Gathering all;
  for_each_lane(warp, lanes, [&](Thread& thread) { all.add(races.view(thread)); });
  share(all, races, warp, lanes);
}

void barrier_arrived(Barrier& barrier, Warp& warp) {
  Races& races = races_of(*warp.block);
  races.raise();
  Object& object = races.object(&barrier);
  for_each_lane(warp, warp.lanes, [&](Thread& thread) {
    View& view = races.view(thread);
    object.open.add(view);
    view.step++;
  });
}

void barrier_left(Barrier& barrier, Warp& warp) {
  Races& races = races_of(*warp.block);
  Object& object = races.object(&barrier);
  object.done.learn(object.open.take());
  for_each_lane(warp, warp.lanes, [&](Thread& thread) { acquire(thread, &barrier); });
}

void copy_issued(Thread& thread, const AsyncCopy& copy) {
  Block& block = *thread.warp->block;
  Races& races = races_of(block);
  const size_t offset = static_cast<size_t>(copy.target - block.shared.data());
  races.note(races.memory(block).copy_started(races.view(thread), offset, copy.bytes, place_of(copy.site)),
             &block);
  if (copy.source) access(thread, copy.source, copy.bytes, Kind::read, place_of(copy.site));
  races.raise();
}

void copy_waited(Thread& thread, const AsyncCopy& copy) {
  Block& block = *thread.warp->block;
  Races& races = races_of(block);
  races.memory(block).copy_ended(races.view(thread), static_cast<size_t>(copy.target - block.shared.data()),
                                 copy.bytes);
}

void release(Thread& thread, const void* object) {
  Races& races = races_of(*thread.warp->block);
  races.raise();
  View& view = races.view(thread);
  races.object(object).open.add(view);
  view.step++;
}

void phase_over(Block& block, const void* object) {
  Races& races = races_of(block);
  Object& o = races.object(object);
  check_waits(o);
  o.done.learn(o.open.take());
}

void acquire(Thread& thread, const void* object) {
  Races& races = races_of(*thread.warp->block);
  View& view = races.view(thread);
  Object& o = races.object(object);
  if (view.known != o.last_known || o.joined_with != o.done.known) {  // lanes of a warp mostly know the same
    o.last_known = view.known;
    o.joined_with = o.done.known;
    o.last_joined = joined(view.known, o.done.known);
  }
  view.known = o.last_joined;
  view.fenced = joined(view.fenced, o.done.fenced);
  view.others = joined(view.others, o.done.others);
  view.visible = joined(view.visible, o.done.visible);
  view.heard = joined(view.heard, o.done.heard);
}

void forget(Block& block, const void* object) { races_of(block).object(object) = {}; }

void proxy_fence(Thread& thread) {
  View& view = races_of(*thread.warp->block).view(thread);
  Gathering all;
  all.add(view);
  view.fenced = all.take().known;
  view.step++;
}

Moment load_issued(Block& target, const void* barrier) {
  Thread& thread = self();
  Races& races = races_of(target);
  View& view = races.view(thread);
  Gathering before;
  before.add(view);
  view.step++;
  return races.begin(races.agent_of(barrier, AgentKind::load), before);
}

void load_landed(const Moment& load, Block& target, const void* barrier, void* p, size_t bytes, Site site) {
  Races& races = races_of(target);
  const size_t offset = static_cast<size_t>(static_cast<std::byte*>(p) - target.shared.data());
  races.note(races.memory(target).access(load, Kind::write, true, offset, bytes, place_of(site)), &target);
  races.raise();
  races.object(barrier).open.add(load);
}

Moment store_issued(Thread& thread) {
  Races& races = races_of(*thread.warp->block);
  View& view = races.view(thread);
  Gathering before;
  before.add(view);
  view.step++;
  return races.begin(races.agent_of(&thread, AgentKind::store), before);
}

void store_waited(Thread& thread, const Moment& store) {
  View& view = races_of(*thread.warp->block).view(thread);
  view.known = with(view.known, store);
}

Moment product_issued(Warp& warp) {
  Races& races = races_of(*warp.block);
  Gathering before;
  for_each_lane(warp, warp.lanes, [&](Thread& thread) {
    View& view = races.view(thread);
    before.add(view);
    view.step++;
  });
  return races.begin(races.agent_of(&warp, AgentKind::product), before);
}

void product_waited(Warp& warp, const Moment& product) {
  Races& races = races_of(*warp.block);
  ClockPtr before, after;  // lanes mostly know the same
  for_each_lane(warp, warp.lanes, [&](Thread& thread) {
    View& view = races.view(thread);
    if (!after || view.known != before) {
      before = view.known;
      after = with(before, product);
    }
    view.known = after;
  });
}

void async_read(const Moment& moment, Block& block, const void* p, size_t bytes, Site site) {
  Races& races = races_of(block);
  const size_t offset = static_cast<size_t>(static_cast<const std::byte*>(p) - block.shared.data());
  races.note(races.memory(block).access(moment, Kind::read, true, offset, bytes, place_of(site)), &block);
  races.raise();
}

}  // namespace warploop::simt::race
