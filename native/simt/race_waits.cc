// Waits for a parity: whether every thread is sure to have left one before the parity comes round again.
#include <algorithm>

#include "simt/diagnostics.h"
#include "simt/race_state.h"

namespace warploop::simt::race {

/// A thread that waits for a phase has to be past its wait before the next phase is over: then the parity is
/// what it was, and the thread would wait on. What comes before the end of the next phase says so.
void check_waits(Object& o) {
  const auto comes_before = [&](uint16_t agent, uint32_t step) {
    return o.open.covers(agent, step) || entry(o.done.known, agent) >= step;
  };
  for (const auto& wait : o.waits) {
    if (!wait->due) continue;
    bool ordered = wait->left && comes_before(wait->agent, wait->step);
    for (size_t i = 0; !ordered && i < wait->together.size(); i++) {
      const Steps& steps = *wait->together[i];
      ordered = std::any_of(steps.begin(), steps.end(),
                            [&](auto& each) { return comes_before(each.first, each.second); });
    }
    if (ordered) continue;
    fail("race", wait->site, "thread ", wait->thread, " of block ", wait->block,
         " of the cluster may still be in this wait when the next phase of the barrier is over, too, and "
         "wait on: "
         "nothing orders its leaving before that (a sync_warp() after the wait?)");
  }
  std::erase_if(o.waits, [](const auto& wait) { return wait->due; });
  for (const auto& wait : o.waits) wait->due = true;  // for the phase that is over now
}

void wait_begun(Thread& thread, const void* object, bool over, Site site) {
  Races& races = races_of(*thread.warp->block);
  auto wait = std::make_shared<Wait>();
  wait->agent = races.view(thread).agent;
  wait->thread = thread.number;
  wait->block = thread.warp->block->rank;
  wait->site = site;
  wait->due = over;
  races.object(object).waits.push_back(wait);
  auto& waits = races.waits_of(*thread.warp);
  std::erase_if(waits, [](const auto& old) { return old.use_count() == 1; });  // their barriers are past them
  waits.push_back(std::move(wait));
}

void wait_ended(Thread& thread) {
  Races& races = races_of(*thread.warp->block);
  const View& view = races.view(thread);
  for (const auto& wait : races.waits_of(*thread.warp)) {
    if (wait->agent != view.agent || wait->left) continue;
    wait->left = true;
    wait->step = view.step;
  }
}

void lanes_met(Warp& warp, uint32_t lanes) {
  Races& races = races_of(*warp.block);
  auto& waits = races.waits_of(warp);
  if (waits.empty()) return;
  auto steps = std::make_shared<Steps>();
  for_each_lane(warp, lanes, [&](Thread& thread) {
    const View& view = races.view(thread);
    steps->push_back({view.agent, view.step});
  });
  for (const auto& wait : waits) {
    if (!wait->left || !(lanes >> wait->thread % 32 & 1)) continue;
    wait->together.push_back(steps);
    wait->met = lanes == warp.lanes;
  }
  std::erase_if(waits, [](const auto& wait) { return wait->met; });
}

}  // namespace warploop::simt::race
