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

DevicePtr joined(const DevicePtr& a, const DevicePtr& b) {
  if (!b || a == b) return a;
  if (!a) return b;
  auto sum = std::make_shared<DeviceClock>();
  auto i = a->begin(), j = b->begin();
  while (i != a->end() || j != b->end()) {
    if (j == b->end() || (i != a->end() && i->first < j->first)) {
      sum->push_back(*i++);
    } else if (i == a->end() || j->first < i->first) {
      sum->push_back(*j++);
    } else {
      sum->push_back({i->first, joined(i->second, j->second)});
      i++, j++;
    }
  }
  if (*sum == *a) return a;
  return *sum == *b ? b : sum;
}

void Knowledge::learn(const Knowledge& more) {
  known = joined(known, more.known);
  fenced = joined(fenced, more.fenced);
  others = joined(others, more.others);
  visible = joined(visible, more.visible);
  heard = joined(heard, more.heard);
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
  others_ = joined(others_, view.others);
  visible_ = joined(visible_, view.visible);
  heard_ = joined(heard_, view.heard);
}

Knowledge Gathering::take() {
  return {take(known_, last_known_), take(fenced_, last_fenced_), std::exchange(others_, nullptr),
          std::exchange(visible_, nullptr), std::exchange(heard_, nullptr)};
}

ClockPtr Gathering::take(Clock& sum, ClockPtr& last) {
  last.reset();
  if (sum.empty()) return nullptr;
  return std::make_shared<const Clock>(std::exchange(sum, {}));
}

}  // namespace warploop::simt::race
