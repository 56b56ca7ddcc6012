// The items of a persistent block whose warps have roles: one warp takes them from the list in device memory
// and hands them on through two slots, so that the others begin with the next one while some still work on
// the last. Who takes which changes nothing in the results.
#pragma once
#include "cuda/attention/queue.cuh"
#include "cuda/device/mbarrier.cuh"

namespace warploop::cuda {

/// A member of the kernel's shared plan.
struct ItemRing {
  static constexpr int kSlots = 2;
  struct Slot {
    AttentionItem item;
    ItemKeys keys;
    SeenBlocks blocks;
    int head;   // KV head; -1: there are no more items
    int tiles;  // of keys, of the items before: where this one begins in rings of such tiles
  };

  Slot slots[kSlots];
  Mbarrier full[kSlots], empty[kSlots];

  /// By one thread; then fence_mbarrier_init() and a barrier of the block. `readers`: warps.
  WARPLOOP_DEVICE void init(int readers) {
    for (int i = 0; i < kSlots; i++) {
      mbarrier_init(full[i], 1);
      mbarrier_init(empty[i], readers);
    }
  }
  WARPLOOP_DEVICE static uint32_t parity_of(int n) { return static_cast<uint32_t>(n / kSlots & 1); }
};

/// Tiles of keys that an item needs.
struct KeyTiles {
  int first;  // key of the first one, a multiple of a tile
  int count;
};
template <int kKeys>
WARPLOOP_DEVICE KeyTiles key_tiles(const ItemKeys& keys) {
  const int first = keys.first / kKeys * kKeys;
  return {first, std::max(keys.last - first + kKeys - 1, 0) / kKeys};
}

/// Takes items of list `kind`, whose keys come in tiles of kKeys, until there are none; nothing of a plan of
/// another call. A whole warp. Heads are neighbours in the list: the keys of a token are read by all heads at
/// about the same time.
template <int kKeys>
WARPLOOP_DEVICE void hand_out_items(const AttentionProblem& p, const AttentionPlan& plan, int kind,
                                    ItemRing& ring) {
  const bool ours = is_plan_of(p, plan, blockIdx.x == gridDim.x - 1), first = lane_index() == 0;
  const auto heads = static_cast<uint32_t>(p.k.sizes[2]);
  const uint32_t count = ours ? num_items(plan, kind) * heads : 0;
  uint32_t at = blockIdx.x;
  int tiles = 0;
  for (int n = 0;; n++) {
    ItemRing::Slot& slot = ring.slots[n % ItemRing::kSlots];
    mbarrier_wait(ring.empty[n % ItemRing::kSlots], ItemRing::parity_of(n) ^ 1u);
    if (n > 0) at = shuffle(first ? take_place(plan, kind, count) : 0u, 0);
    if (first && at < count) {
      const AttentionItem item = item_at(p, plan, kind, at / heads);
      const ItemKeys keys = keys_of(p, plan.group, item, static_cast<int>(at % heads));
      slot.item = item, slot.keys = keys, slot.tiles = tiles;
      tiles += key_tiles<kKeys>(keys).count;
    }
    if (first) slot.head = at < count ? static_cast<int>(at % heads) : -1;
    sync_warp();
    if (p.block_mask && at < count) {
      slot.blocks.find(p, slot.keys, lane_index(), kWarpSize);
      sync_warp();
    }
    if (first) mbarrier_arrive(ring.full[n % ItemRing::kSlots]);
    if (at >= count) return;
  }
}

/// One of the warps that work on the items.
class ItemReader {
 public:
  WARPLOOP_DEVICE explicit ItemReader(ItemRing& ring) : ring_(ring) {}

  /// Waits for the next item; false: there is none.
  WARPLOOP_DEVICE bool next() {
    mbarrier_wait(ring_.full[n_ % ItemRing::kSlots], ItemRing::parity_of(n_));
    return slot().head >= 0;
  }
  WARPLOOP_DEVICE const ItemRing::Slot& slot() const { return ring_.slots[n_ % ItemRing::kSlots]; }
  /// How many items came before this one.
  WARPLOOP_DEVICE int number() const { return n_; }
  /// Gives the slot back.
  WARPLOOP_DEVICE void done() {
    sync_warp();
    if (lane_index() == 0) mbarrier_arrive(ring_.empty[n_ % ItemRing::kSlots]);
    n_++;
  }

 private:
  ItemRing& ring_;
  int n_ = 0;
};

}  // namespace warploop::cuda
