// What orders the blocks of a launch: fences and atomics of device scope, after the memory model of PTX
// (release and acquire patterns). A fence makes what its thread knows visible and takes over what atomics
// have heard; barriers hand both on within the block, so that one thread can fence for all, or all for one.
#include "simt/race_global.h"
#include "simt/race_state.h"

namespace warploop::simt::race {

namespace {

/// A release: what comes before it is visible to the device.
void publish(View& view) {
  Gathering own;
  own.add(view);
  const DeviceClock cluster{{view.cluster, own.take().known}};
  view.visible = joined(joined(view.visible, view.others), std::make_shared<const DeviceClock>(cluster));
  view.step++;
}

}  // namespace

void launch_started() { GlobalMemory::of_launch().reset(); }

void device_fence(Thread& thread) {
  View& view = races_of(*thread.warp->block).view(thread);
  view.others = joined(view.others, view.heard);
  publish(view);
}

void device_atomic(Thread& thread, const void* p, Order order) {
  Races& races = races_of(*thread.warp->block);
  races.raise();
  if (thread.warp->block->shared.holds(p)) return;
  View& view = races.view(thread);
  DevicePtr& told = GlobalMemory::of_launch().told(p);
  if (order == Order::release || order == Order::both) publish(view);
  view.heard = joined(view.heard, told);
  if (order == Order::acquire || order == Order::both) view.others = joined(view.others, told);
  if (order != Order::acquire) told = joined(told, view.visible);
}

void async_global(const Moment& moment, Block& block, void* p, size_t bytes, bool writes, Site site) {
  Races& races = races_of(block);
  const Kind kind = writes ? Kind::write : Kind::read;
  races.note(GlobalMemory::of_launch().access(moment, kind, true, p, bytes, place_of(site)), nullptr);
  races.raise();
}

}  // namespace warploop::simt::race
