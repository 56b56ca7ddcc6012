// The blocks of a persistent kernel take items from a list in device memory until it is empty. Who takes
// which changes nothing in the results.
#pragma once
#include <bit>

#include "cuda/attention/items.cuh"
#include "cuda/device/block.cuh"
#include "cuda/device/memory.cuh"

namespace warploop::cuda {

/// The keys that the rows of an item need, and those that all of them see. The block mask is here, in shared
/// memory, so that nothing of it waits in registers while products run.
struct ItemKeys {
  int first, last;            // within the item
  int seen_first, seen_last;  // no mask is needed within
  int position, num_queries;  // of the first row among the keys; of all rows
  const uint32_t* blocks;     // the first query's words of the block mask
  int64_t block_stride;       // to those of the next one
};
WARPLOOP_DEVICE ItemKeys keys_of(const AttentionProblem& p, int group, const AttentionItem& item, int head) {
  const int bottom_row = item.first_row + item.num_rows - 1, first_query = item.first_row / group;
  const int position = position_of(item, group, item.first_row);
  const KeyRange top = visible_keys(p, item.num_keys, position);
  const KeyRange bottom = visible_keys(p, item.num_keys, position_of(item, group, bottom_row));
  const TensorView& mask = p.block_mask;
  return {.first = std::max(top.begin, item.first_key),
          .last = std::min(bottom.end, item.last_key),
          .seen_first = bottom.begin,
          .seen_last = std::min(top.end, first_maskable(p, item)),
          .position = position,
          .num_queries = item.num_rows > 0 ? bottom_row / group + 1 - first_query : 0,
          .blocks = mask.as<uint32_t>() + (item.first_query + first_query) * mask.strides[0] +
                    head * mask.strides[1],
          .block_stride = mask.strides[0]};
}

/// Whether the block mask leaves `key` to the query of the item that stands at `position`.
WARPLOOP_DEVICE bool sees_block(const AttentionProblem& p, const ItemKeys& keys, int position, int key) {
  if (!p.block_mask) return true;
  const int query = position - keys.position, word = key / kWordKeys;
  if (query >= keys.num_queries || word >= p.block_mask.sizes[2]) return false;
  return keys.blocks[query * keys.block_stride + word] >> key / kBlockKeys % 32 & 1u;
}
/// The keys of a tile that a row sees, but for what the tree mask hides. Keys outside of the tile may be in
/// the range or not.
template <int kKeys>
WARPLOOP_DEVICE KeyRange seen_keys(const AttentionProblem& p, const AttentionItem& item, const ItemKeys& keys,
                                   int position, int tile) {
  static_assert(kKeys <= 2 * kBlockKeys);
  KeyRange seen = visible_keys(p, item.num_keys, position);
  if (!p.block_mask) return seen;
  const int middle = tile + kBlockKeys;
  if (!sees_block(p, keys, position, tile)) seen.begin = std::max(seen.begin, middle);
  if (kKeys > kBlockKeys && !sees_block(p, keys, position, middle)) seen.end = std::min(seen.end, middle);
  return seen;
}
/// Which blocks of an item's keys the block mask leaves to some of its rows, so that tiles without any are
/// left out. In shared memory: found once, and no walk through the mask is between the products.
struct SeenBlocks {
  static constexpr int kWords = 64;
  int first;  // key of the first bit, a multiple of kWordKeys
  int shift;  // a bit stands for 2^shift blocks: 0 up to kWords kWordKeys keys
  int words;  // that are in use
  uint32_t bits[kWords];

  /// By threads of one warp or block, `index` of `count`; then a barrier.
  WARPLOOP_DEVICE void find(const AttentionProblem& p, const ItemKeys& keys, int index, int count) {
    const int from = keys.first / kWordKeys, end = (keys.last + kWordKeys - 1) / kWordKeys;
    const int all = std::max(end - from, 0);
    int by = 0;
    while (all > kWords << by) by++;
    const int in_use = (all + (1 << by) - 1) >> by;
    for (int i = index; i < in_use; i += count) {
      uint32_t found = 0;
      for (int word = i << by; word < std::min((i + 1) << by, all); word++) {
        uint32_t seen = seen_by_some(p, keys, from + word);
        for (; seen != 0; seen &= seen - 1) found |= 1u << ((word * 32 + std::countr_zero(seen)) >> by & 31);
      }
      bits[i] = found;
    }
    if (index == 0) first = from * kWordKeys, shift = by, words = in_use;
  }

  /// The key of the first bit set from that of `key` on; -1: there is none.
  WARPLOOP_DEVICE int next(int key) const {
    const int bit = (key - first) / kBlockKeys >> shift;
    uint32_t later = ~0u << bit % 32;
    for (int word = bit / 32; word < words; word++, later = ~0u) {
      const uint32_t set = bits[word] & later;
      if (set != 0) return first + (word * 32 + std::countr_zero(set) << shift) * kBlockKeys;
    }
    return -1;
  }

 private:
  WARPLOOP_DEVICE static uint32_t seen_by_some(const AttentionProblem& p, const ItemKeys& keys, int word) {
    uint32_t seen = 0;
    if (word >= p.block_mask.sizes[2]) return 0;
    for (int query = 0; query < keys.num_queries; query++)
      seen |= keys.blocks[query * keys.block_stride + word];
    return seen;
  }
};

/// The first tile of kKeys keys from `tile` on that the block mask leaves to some row of an item; keys.last
/// or more: there is none. Whoever works on the item asks for himself and finds the same.
template <int kKeys>
WARPLOOP_DEVICE int next_tile(const AttentionProblem& p, const ItemKeys& keys, const SeenBlocks& blocks,
                              int tile) {
  if (!p.block_mask || tile >= keys.last) return tile;
  const int key = blocks.next(tile);
  return key < 0 ? keys.last : std::max(tile, key / kKeys * kKeys);
}
template <int kKeys>
WARPLOOP_DEVICE int first_tile(const AttentionProblem& p, const ItemKeys& keys, const SeenBlocks& blocks) {
  return next_tile<kKeys>(p, keys, blocks, keys.first / kKeys * kKeys);
}

/// What ends with a tile of keys, for a block that does the spans of an item one after another; spans of
/// which no tile is needed do not end. Found from where the tile lies, so that no register keeps it.
struct SpanEnd {
  bool span, group, final;             // ends with the tile
  bool earlier_spans, earlier_groups;  // of the group, of the item: their sums wait
};
/// Of the tile of kKeys keys that begins with key `tile`; `next`: the one after it. Tiles do not reach beyond
/// a span.
template <int kKeys>
WARPLOOP_DEVICE SpanEnd span_end(const AttentionProblem& p, const AttentionItem& item, const ItemKeys& keys,
                                 const SeenBlocks& blocks, int tile, int next) {
  const int this_span = tile / item.span, next_span = next / item.span;
  SpanEnd end{};
  end.final = next >= keys.last;
  end.span = end.final || next_span != this_span;
  if (!end.span) return end;
  end.group = end.final || next_span / kGroupSpans != this_span / kGroupSpans;
  const int begin = keys.first / kKeys * kKeys, group = this_span / kGroupSpans * kGroupSpans * item.span;
  end.earlier_spans = next_tile<kKeys>(p, keys, blocks, std::max(begin, group)) < this_span * item.span;
  end.earlier_groups = next_tile<kKeys>(p, keys, blocks, begin) < group;
  return end;
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
    SeenBlocks blocks;
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
      const ItemKeys keys = keys_of(p_, plan_.group, item, static_cast<int>(at % num_heads));
      slot_.item = item, slot_.keys = keys;  // not where they are made: key_ring.cuh says why
    }
    sync_block();
    if (p_.block_mask) {
      slot_.blocks.find(p_, slot_.keys, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x));
      sync_block();
    }
    return static_cast<int>(at % num_heads);
  }

 private:
  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const int kind_;
  Slot& slot_;
};

}  // namespace warploop::cuda
