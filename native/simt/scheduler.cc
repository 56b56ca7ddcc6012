// A thread of a kernel gets a worker, a fiber with a stack, when it runs for the first time and keeps it
// until its end; a worker whose thread has ended runs the next one that has not started yet. So a kernel that
// never waits runs on one stack, without a switch. A thread that has to wait picks its successor itself and
// switches to it.
#include "simt/scheduler.h"

#include <algorithm>
#include <bit>

#include "simt/diagnostics.h"
#include "simt/race.h"

namespace warploop::simt {
namespace {

constexpr int kPollsBeforeLanding = 64;      // with Landing::late: the others may be polling for the data
constexpr uint32_t kLingerOdds = 64;         // one of so many calls of linger
constexpr int kPollsUntilStuck = 1'000'000;  // without anything else happening
constexpr uint64_t kLowPriority = uint64_t{1} << 32;

}  // namespace

constinit thread_local Scheduler* current_scheduler = nullptr;

Scheduler::Scheduler() = default;
Scheduler::~Scheduler() = default;

Scheduler& Scheduler::of_os_thread() {
  static thread_local Scheduler instance;
  return *(current_scheduler = &instance);
}

void Scheduler::reset() {
  for (auto& worker : workers_) worker->reset();
  idle_.clear();
  for (auto& worker : workers_) idle_.push_back(worker.get());
  async_.clear();
  landing_.reset();
  ready_.clear();
  lingering_.clear();
  clusters_.clear();
  warp_ = nullptr;
  current_thread = nullptr;
}

// ------------------------------------------------------------------------------------------ which thread
// runs next

void Scheduler::enqueue(Warp& warp) {
  warp.queue_position = static_cast<int>(ready_.size());
  ready_.push_back(&warp);
  if (options_.schedule == Schedule::fifo) warp.order = next_order_++;
}

void Scheduler::dequeue(Warp& warp) {
  Warp* last = ready_.back();
  last->queue_position = warp.queue_position;
  ready_[static_cast<size_t>(warp.queue_position)] = last;
  ready_.pop_back();
}

Warp* Scheduler::pick_warp() {
  if (ready_.empty()) return nullptr;
  if (options_.schedule == Schedule::random)
    return ready_[random_.below(static_cast<uint32_t>(ready_.size()))];
  return *std::min_element(ready_.begin(), ready_.end(),
                           [](Warp* a, Warp* b) { return a->order < b->order; });
}

/// Takes a ready thread out of the queue. Null: there is none.
///
/// random: usually another lane of the warp that ran last, which keeps the stacks in the cache, sometimes any
/// warp. priority: the warp with the smallest `order`, which changes now and then, so that some warps run far
/// ahead of others (after Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding
/// bugs", ASPLOS 2010). fifo: warp after warp, lane after lane.
Thread* Scheduler::pick() {
  if (!async_.empty()) land_some(false);
  const uint32_t dice = random_.next();
  const bool rarely = dice >> 24 == 0;
  const Schedule schedule = options_.schedule;
  Warp* warp = warp_;
  if (schedule == Schedule::priority) {
    if (rarely && warp) warp->order = random_.next();
    warp = pick_warp();
  } else if (!warp || !warp->ready || (rarely && schedule == Schedule::random)) {
    warp = pick_warp();
  }
  if (!warp) return async_.empty() ? take_lingering() : nullptr;  // what is under way lands first
  const int first = schedule == Schedule::fifo ? warp->last_lane + 1 : static_cast<int>(dice & 31);
  const int lane = (std::countr_zero(std::rotr(warp->ready, first)) + first) & 31;
  warp->ready &= ~(1u << lane);
  warp->last_lane = lane;
  if (warp->ready == 0) dequeue(*warp);
  warp_ = warp;
  return &warp->threads[lane];
}

void Scheduler::wake(Warp& warp, uint32_t lanes) {
  polls_ = 0;
  if (warp.ready == 0) enqueue(warp);
  warp.ready |= lanes;
}

void Scheduler::block(const char* operation, Site site) {
  Thread& thread = self();
  thread.waits_in = operation;
  thread.waits_at = site;
  Thread* next = pick();
  if (next != &thread) resume(next);  // else an operation that landed just now has woken it
}

Thread* Scheduler::take_lingering() {
  if (lingering_.empty()) return nullptr;
  const size_t which = random_.below(static_cast<uint32_t>(lingering_.size()));
  Thread* thread = lingering_[which];
  lingering_.erase(lingering_.begin() + static_cast<ptrdiff_t>(which));
  return thread;
}

void Scheduler::linger(const char* operation, Site site) {
  if (options_.schedule == Schedule::fifo || random_.below(kLingerOdds)) return;
  lingering_.push_back(&self());
  block(operation, site);
}

void Scheduler::yield(const char* operation, Site site) {
  Thread& thread = self();
  Warp& warp = *thread.warp;
  thread.waits_in = operation;
  thread.waits_at = site;
  if (++polls_ > kPollsUntilStuck) {
    fail(operation, site,
         "all threads that run only poll; blocks that wait for each other need WARPLOOP_SIMT_RESIDENT\n",
         who_waits_where());
  }
  if (polls_ > kPollsBeforeLanding) {
    if (options_.async == Landing::late) land_some(true);
    if (Thread* thread = take_lingering()) wake(*thread);
  }
  warp.order = kLowPriority + next_order_++;
  warp_ = nullptr;
  Thread* next = pick();
  if (warp.ready == 0) enqueue(warp);
  warp.ready |= 1u << thread.lane;
  if (next) {
    resume(next);
  } else {  // alone
    warp.ready &= ~(1u << thread.lane);
    dequeue(warp);
  }
}

// ------------------------------------------------------------------------------------------ asynchronous
// work

bool Scheduler::lands_now() {
  const Landing async = options_.async;
  return async == Landing::early || (async == Landing::random && (random_.next() & 1));
}

void Scheduler::start(std::unique_ptr<AsyncWork> work) {
  if (options_.async == Landing::early) {
    work->land();
  } else {
    async_.push_back(std::move(work));
    landing_odds_ = 8u << (4 * random_.below(3));  // sometimes soon, sometimes only when everybody waits
  }
}

/// Lands a piece of work: with Landing::random sometimes, otherwise only when nothing else goes on. True: it
/// did.
bool Scheduler::land_some(bool anyway) {
  if (async_.empty()) return false;
  if (!anyway && (options_.async != Landing::random || random_.below(landing_odds_))) return false;
  const size_t which = random_.below(static_cast<uint32_t>(async_.size()));
  landing_ = std::move(async_[which]);
  async_.erase(async_.begin() + static_cast<ptrdiff_t>(which));
  polls_ = 0;
  Thread* thread = std::exchange(current_thread, nullptr);  // it is nobody's doing
  landing_->land();
  current_thread = thread;
  return true;
}

// ------------------------------------------------------------------------------------------ workers

Fiber& Scheduler::idle_worker() {
  if (idle_.empty()) {
    workers_.push_back(std::make_unique<Fiber>(&Scheduler::worker_main, workers_.size()));
    return *workers_.back();
  }
  Fiber& worker = *idle_.back();
  idle_.pop_back();
  return worker;
}

/// Makes `thread` the current one.
void Scheduler::enter(Thread& thread) {
  current_thread = &thread;
  threadIdx = thread.index;
  blockIdx = thread.warp->block->index;
}

/// Switches to `next`, or to run() where it is null.
void Scheduler::resume(Thread* next) {
  Fiber* to = &main_;
  if (next) {
    if (!next->fiber) next->fiber = &idle_worker();
    to = next->fiber;
    enter(*next);
  } else {
    current_thread = nullptr;
  }
  counters.switches++;
  left_ = running_;
  running_ = to;
  left_->switch_to(*to);
}

void Scheduler::worker_main() {
  Scheduler& s = scheduler();
  Fiber::entered(*s.left_);
  for (;;) {
    Fiber* worker = current_thread->fiber;
    Thread* next = nullptr;
    try {
      s.launch_->kernel->call(s.launch_->arguments.get());
      s.end_thread(*current_thread);
      if (!s.cluster_ended_) next = s.pick();
    } catch (...) {
      s.error_ = std::current_exception();  // run() goes on with it
    }
    if (next && !next->fiber) {
      next->fiber = worker;
      s.enter(*next);
    } else {
      s.idle_.push_back(worker);
      s.resume(next);
    }
  }
}

}  // namespace warploop::simt
