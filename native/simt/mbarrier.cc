#include "simt/mbarrier.h"

#include <algorithm>
#include <cstring>

#include "simt/diagnostics.h"
#include "simt/race.h"
#include "simt/scheduler.h"
#include "simt/sm90.h"

namespace warploop::simt {
namespace {

constexpr int kMaxArrivals = (1 << 14) - 1;  // the hardware counts to 2^20 - 1; a cluster has 16384 threads
constexpr int64_t kMaxBytes = (int64_t{1} << 20) - 1;
constexpr uint64_t kMark = 0x2a6b;

struct State {
  uint64_t phase : 1;      // its parity
  uint64_t arrivals : 14;  // of a phase
  uint64_t pending : 14;   // arrivals that are missing
  int64_t bytes : 21;      // expected and not copied; negative: copied and not expected yet
  uint64_t mark : 14;
};
static_assert(sizeof(State) == 8);

/// The barrier at a place of a block.
struct Place {
  Block& block;
  uint32_t offset;

  std::byte* data() const { return block.shared.data() + offset; }
};

Place place_of(uint32_t address, const char* operation, Site site) {
  const std::byte* p = shared_pointer(address, 8, 8, operation, site);
  Block& block = owner_of(address, operation, site);
  return {block, static_cast<uint32_t>(p - block.shared.data())};
}

State load(Place place, const char* operation, Site site) {
  State state;
  std::memcpy(&state, place.data(), sizeof state);
  if (state.mark != kMark) {
    fail(operation, site, "the barrier at shared offset ", place.offset,
         " is not initialised, or was overwritten");
  }
  return state;
}

/// Stores the state; a phase that is complete gives way to the next.
void store(Place place, State state) {
  const bool over = state.pending == 0 && state.bytes == 0;
  if (over) {
    state.phase ^= 1;
    state.pending = state.arrivals;
  }
  std::memcpy(place.data(), &state, sizeof state);
  if (!over) return;
  race::phase_over(place.block, place.data());
  std::erase_if(sm90(place.block).mbarriers.waiters, [&](const Mbarriers::Waiter& waiter) {
    if (waiter.offset != place.offset) return false;
    scheduler().wake(*waiter.thread);
    return true;
  });
}

void add_bytes(Place place, State& state, int64_t bytes, const char* operation, Site site) {
  const int64_t sum = state.bytes + bytes;
  if (sum > kMaxBytes || sum < -kMaxBytes) {
    fail(operation, site, "the barrier at shared offset ", place.offset, " cannot count ", sum, " bytes");
  }
  state.bytes = sum;
}

bool is_fresh(const Mbarriers& barriers, uint32_t offset) {
  return std::any_of(barriers.fresh.begin(), barriers.fresh.end(),
                     [&](const Mbarriers::Fresh& fresh) { return fresh.offset == offset; });
}

}  // namespace

void init_mbarrier(uint32_t address, int arrivals, Site site) {
  const char* operation = "mbarrier_init";
  const Place place = place_of(address, operation, site);
  if (&place.block != &self_block()) fail(operation, site, "the barrier lies in another block");
  if (arrivals < 1 || arrivals > kMaxArrivals) {
    fail(operation, site, arrivals, " arrivals: expected 1 to ", kMaxArrivals);
  }
  Mbarriers& barriers = sm90(place.block).mbarriers;
  for (const Mbarriers::Waiter& waiter : barriers.waiters) {
    if (waiter.offset == place.offset)
      fail(operation, site, "thread ", waiter.thread->number, " waits at this barrier");
  }
  State state{};
  state.arrivals = static_cast<uint64_t>(arrivals);
  state.pending = state.arrivals;
  state.mark = kMark;
  std::memcpy(place.data(), &state, sizeof state);
  race::forget(place.block, place.data());
  if (!is_fresh(barriers, place.offset)) barriers.fresh.push_back({place.offset, &self()});
}

void publish_mbarriers() {
  std::erase_if(sm90(self_block()).mbarriers.fresh,
                [](const Mbarriers::Fresh& f) { return f.thread == &self(); });
}

void check_mbarrier(Block& block, uint32_t offset, const char* operation, Site site) {
  load({block, offset}, operation, site);
  if (is_fresh(sm90(block).mbarriers, offset)) {
    fail(operation, site, "the barrier at shared offset ", offset,
         " was initialised without fence_mbarrier_init()");
  }
}

void arrive_at_mbarrier(uint32_t address, uint32_t bytes, const char* operation, Site site) {
  const Place place = place_of(address, operation, site);
  if (&place.block != &self_block()) {
    if (place.block.running == 0)
      fail(operation, site, "block ", place.block.rank, " of the cluster has ended");
    check_mbarrier(place.block, place.offset, operation, site);
  }
  State state = load(place, operation, site);
  if (state.pending == 0) {
    fail(operation, site, "the barrier at shared offset ", place.offset, " was initialised for ",
         uint64_t{state.arrivals}, " arrivals, all of which have come; it waits for ", int64_t{state.bytes},
         " bytes");
  }
  race::release(self(), place.data());
  add_bytes(place, state, bytes, operation, site);
  state.pending--;
  store(place, state);
}

void complete_bytes(Block& block, uint32_t offset, uint32_t bytes, const char* operation, Site site) {
  const Place place{block, offset};
  State state = load(place, operation, site);
  add_bytes(place, state, -int64_t{bytes}, operation, site);
  store(place, state);
}

void wait_for_mbarrier(uint32_t address, uint32_t parity, Site site) {
  const char* operation = "mbarrier_wait";
  const Place place = place_of(address, operation, site);
  if (&place.block != &self_block()) fail(operation, site, "the barrier lies in another block");
  if (parity > 1) fail(operation, site, "parity ", parity, ": expected 0 or 1");
  scheduler().linger(operation, site);
  race::wait_begun(self(), place.data(), load(place, operation, site).phase != parity, site);
  while (load(place, operation, site).phase == parity) {
    sm90(place.block).mbarriers.waiters.push_back({place.offset, parity, &self()});
    scheduler().block(operation, site);
    scheduler().linger(operation, site);
  }
  race::wait_ended(self());
  race::acquire(self(), place.data());
}

std::string barrier_of(const Block& block, const Mbarriers& mbarriers, const Thread& thread) {
  for (const Mbarriers::Waiter& waiter : mbarriers.waiters) {
    if (waiter.thread != &thread) continue;
    State state;
    std::memcpy(&state, block.shared.data() + waiter.offset, sizeof state);
    return concat(" for parity ", waiter.parity, " of the barrier at shared offset ", waiter.offset,
                  ", which lacks ", uint64_t{state.pending}, " of ", uint64_t{state.arrivals},
                  " arrivals and ", int64_t{state.bytes}, " bytes");
  }
  return {};
}

}  // namespace warploop::simt
