// State that the sm_90 operations keep per block. It lives from the first of them until the cluster has
// ended.
#pragma once
#include <vector>

#include "simt/async_view.h"
#include "simt/bulk_copy.h"
#include "simt/mbarrier.h"
#include "simt/model.h"
#include "simt/register_pool.h"
#include "simt/wgmma.h"

namespace warploop::simt {

struct Sm90Block final : Attachment {
  explicit Sm90Block(Block& block);
  /// Nothing may be under way when the last thread of the block ends.
  void check_end() override;
  std::string waits_for(const Thread& thread) const override { return barrier_of(block, mbarriers, thread); }

  Block& block;
  Mbarriers mbarriers;
  AsyncView view;
  BulkCopies copies;
  std::vector<WarpProducts> products;       // per warp
  std::vector<WarpgroupRecord> warpgroups;  // per four warps
  RegisterPool registers;
  int elected_lane;  // by elect_one, in every warp: the hardware's choice depends on the mask only
};

Sm90Block& sm90(Block& block);

/// fence.proxy.async
void fence_async_view();
/// elect.sync
bool elect_lane(Site site);

}  // namespace warploop::simt
