#include "simt/sm90.h"

#include <algorithm>

#include "simt/diagnostics.h"
#include "simt/options.h"
#include "simt/race.h"
#include "simt/rendezvous.h"
#include "simt/scheduler.h"

namespace warploop::simt {

Sm90Block::Sm90Block(Block& of)
    : block(of), view(of.shared), products(of.warps.size()), warpgroups((of.warps.size() + 3) / 4) {
  registers.per_thread.assign(of.warps.size(), initial_registers(of.threads.size()));
  elected_lane = static_cast<int>(scheduler().random().below(32));
}

void Sm90Block::check_end() {
  if (copies.loads) {
    fail("tma_load", Site{}, copies.loads, " loads are under way to a block that has ended");
  }
  finish_stores(copies);
  check_products(products, warpgroups);
  // Peers of a cluster that still read this block's memory should notice.
  if (options().poison) std::fill_n(block.shared.data(), block.shared.bytes(), std::byte{0xff});
}

Sm90Block& sm90(Block& block) {
  if (!block.attachment) block.attachment = std::make_unique<Sm90Block>(block);
  return static_cast<Sm90Block&>(*block.attachment);
}

void fence_async_view() {
  sm90(self_block()).view.fence();
  race::proxy_fence(self());
  publish_mbarriers();
}

bool elect_lane(Site site) {
  meet("elect_one", ~0u, site);
  return self().lane == sm90(self_block()).elected_lane;
}

}  // namespace warploop::simt
