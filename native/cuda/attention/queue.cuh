// The blocks of a persistent kernel take items from a list in device memory until it is empty. Who takes
// which changes nothing in the results.
#pragma once
#include "cuda/attention/items.cuh"
#include "cuda/device/block.cuh"
#include "cuda/device/memory.cuh"

namespace warploop::cuda {

/// The keys that the rows of an item need, and those that all of them see.
struct ItemKeys {
  int first, last;            // within the item
  int seen_first, seen_last;  // no mask is needed within
};
WARPLOOP_DEVICE ItemKeys keys_of(const AttentionProblem& p, int group, const AttentionItem& item) {
  const int bottom_row = item.first_row + item.num_rows - 1;
  const KeyRange top = visible_keys(p, item.num_keys, position_of(item, group, item.first_row));
  const KeyRange bottom = visible_keys(p, item.num_keys, position_of(item, group, bottom_row));
  return {std::max(top.begin, item.first_key), std::min(bottom.end, item.last_key), bottom.begin,
          std::min(top.end, first_maskable(p, item))};
}

/// The place in list `kind` of the item that the block works on after the one that it has; `count`: of all
/// items. Blocks begin with the places of their own numbers, and each whose place is in the list takes until
/// it comes behind its end: as many takes as there are items. The last one leaves the counter as it was
/// before the first.
WARPLOOP_DEVICE uint32_t take_place(const AttentionPlan& plan, int kind, uint32_t count) {
  const uint32_t taken = atomic_add(plan.next + kind, 1u);
  if (taken == count - 1) atomic_add(plan.next + kind, 0u - count);
  return gridDim.x + taken;
}

class ItemQueue {
 public:
  /// A member of the kernel's shared plan: the item that the block works on lies there, not in registers.
  struct Slot {
    AttentionItem item;
    ItemKeys keys;
    uint32_t next;   // place in the list of the item after this one
    uint32_t count;  // of the list; 0: it belongs to another call
    bool is_last;    // finish_item's
  };

  /// List `kind` of the plan; nothing of a plan of another call.
  WARPLOOP_DEVICE ItemQueue(const AttentionProblem& p, const AttentionPlan& plan, int kind, Slot& slot)
      : p_(p), plan_(plan), kind_(kind), slot_(slot) {
    if (threadIdx.x >= kWarpSize) return;
    const bool ours = is_plan_of(p, plan, blockIdx.x == gridDim.x - 1);
    if (threadIdx.x != 0) return;
    slot.next = blockIdx.x;
    slot.count = ours ? num_items(plan, kind) * static_cast<uint32_t>(p.k.sizes[2]) : 0;
  }

  /// The next item, in the slot, and its KV head; -1: there is none. Waits for all threads of the block
  /// before and after, so the shared plan is free. Heads are neighbours in the list: the keys of a token are
  /// read by all heads at about the same time.
  WARPLOOP_DEVICE int take() {
    const auto num_heads = static_cast<uint32_t>(p_.k.sizes[2]);
    sync_block();
    const uint32_t at = slot_.next;
    if (at >= slot_.count) return -1;
    sync_block();
    if (threadIdx.x == 0) {
      slot_.next =
          take_place(plan_, kind_, slot_.count);  // takes no longer than the item, which does not wait
      const AttentionItem item = item_at(p_, plan_, kind_, at / num_heads);
      const ItemKeys keys = keys_of(p_, plan_.group, item);
      slot_.item = item, slot_.keys = keys;  // not where they are made: key_ring.cuh says why
    }
    sync_block();
    return static_cast<int>(at % num_heads);
  }

 private:
  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const int kind_;
  Slot& slot_;
};

}  // namespace warploop::cuda
