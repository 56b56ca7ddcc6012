#include "simt/race_clock.h"

#include <algorithm>
#include <utility>

namespace warploop::simt::race {
namespace {

bool covers(const Clock& a, const Clock& b) {
  for (size_t i = 0; i < b.size(); i++) {
    if (b[i] > (i < a.size() ? a[i] : 0)) return false;
  }
  return true;
}

void join(Clock& sum, const Clock& clock) {
  if (sum.size() < clock.size()) sum.resize(clock.size(), 0);
  for (size_t i = 0; i < clock.size(); i++) sum[i] = std::max(sum[i], clock[i]);
}

}  // namespace

ClockPtr joined(const ClockPtr& a, const ClockPtr& b) {
  if (!b || a == b) return a;
  if (!a || covers(*b, *a)) return b;
  if (covers(*a, *b)) return a;
  auto sum = std::make_shared<Clock>(*a);
  join(*sum, *b);
  return sum;
}

void Gathering::add(Clock& sum, ClockPtr& last, const ClockPtr& clock) {
  if (!clock || clock == last) return;
  join(sum, *clock);
  last = clock;
}

void Gathering::add(const View& view) {
  add(known_, last_known_, view.known);
  add(fenced_, last_fenced_, view.fenced);
  if (known_.size() <= view.agent) known_.resize(view.agent + 1u, 0);
  known_[view.agent] = std::max(known_[view.agent], view.step);
}

ClockPtr Gathering::take(Clock& sum, ClockPtr& last) {
  last.reset();
  if (sum.empty()) return nullptr;
  return std::make_shared<const Clock>(std::exchange(sum, {}));
}

}  // namespace warploop::simt::race
