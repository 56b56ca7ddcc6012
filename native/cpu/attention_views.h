// What the rows of an item of attention see of its keys: window, causality, tree mask and block mask.
#pragma once
#include <bit>

#include "core/attention_limits.h"
#include "cpu/attention_workspace.h"

namespace warploop::cpu::WARPLOOP_ISA {

static_assert(kTileKeys == kBlockKeys, "a tile is a block of the block mask");

/// `head` is counted from the item's first KV head.
class ItemViews {
 public:
  ItemViews(const AttentionProblem& p, const AttentionItem& item, AttentionWorkspace& w)
      : p_(p), item_(item), w_(w), group_(p.q.size(1) / p.k.size(2)) {}

  /// The keys [begin, end) of each row, into the workspace: no row sees others.
  void find() const {
    const AttentionSequence& s = item_.sequence;
    for (int64_t r = 0; r < item_.num_rows; r++) {
      const int64_t position = (item_.first_row + r) / group_ + s.first_position;
      w_.end[r] = p_.causal ? std::clamp<int64_t>(position + 1, 0, s.num_keys) : s.num_keys;
      w_.begin[r] = p_.window > 0 ? std::clamp<int64_t>(position - p_.window + 1, 0, s.num_keys) : 0;
    }
  }

  /// The first tile from `tile` on that the block mask leaves to some row; `last` or more: there is none.
  int64_t next_tile(int64_t tile, int64_t last) const {
    if (!p_.block_mask || tile >= last) return tile;
    const int64_t words = std::min<int64_t>(p_.block_mask.size(2), (last - 1) / kWordKeys + 1);
    uint32_t later = ~0u << tile / kBlockKeys % 32;
    for (int64_t word = tile / kWordKeys; word < words; word++, later = ~0u) {
      const uint32_t seen = seen_blocks(word) & later;
      if (seen != 0) return word * kWordKeys + std::countr_zero(seen) * kBlockKeys;
    }
    return last;
  }

  /// Whether the block mask leaves a tile to some of the rows [r, r + rows) of a head.
  bool some_see(int64_t tile, int r, int rows, int head) const {
    if (!p_.block_mask) return true;
    for (const int end = r + rows; r < end; r++) {
      if (sees(tile, r, head)) return true;
    }
    return false;
  }

  /// What row r of a head sees of a tile.
  Visible of_tile(int64_t tile, int r, int head) const {
    if (p_.block_mask && !sees(tile, r, head)) return {0, 0, 0};
    return {static_cast<int>(std::clamp<int64_t>(w_.begin[r] - tile, 0, kTileKeys)),
            static_cast<int>(std::clamp<int64_t>(w_.end[r] - tile, 0, kTileKeys)), hidden_of_tree(tile, r)};
  }

 private:
  int64_t query_of(int64_t r) const { return item_.sequence.first_query + (item_.first_row + r) / group_; }

  const uint32_t* words_of(int64_t query, int64_t head) const {
    const TensorView& mask = p_.block_mask;
    return mask.as<uint32_t>() + query * mask.stride(0) + (item_.first_head + head) * mask.stride(1);
  }
  bool sees(int64_t tile, int r, int head) const {
    const int64_t word = tile / kWordKeys;
    if (word >= p_.block_mask.size(2)) return false;
    return words_of(query_of(r), head)[word] >> tile / kBlockKeys % 32 & 1;
  }
  /// The bits of a word that some row has.
  uint32_t seen_blocks(int64_t word) const {
    const int64_t heads = p_.block_mask.stride(1) == 0 ? 1 : item_.num_heads, last = item_.num_rows - 1;
    uint32_t seen = 0;
    for (int64_t query = query_of(0); query <= query_of(last); query++) {
      for (int64_t head = 0; head < heads; head++) seen |= words_of(query, head)[word];
    }
    return seen;
  }

  uint64_t hidden_of_tree(int64_t tile, int r) const {
    const AttentionSequence& s = item_.sequence;
    const int64_t first = tile - s.first_position;  // the query that the tile's first key is of
    if (!p_.tree_mask || first <= -kTileKeys) return 0;
    const auto* words = p_.tree_mask.as<uint32_t>() + query_of(r) * p_.tree_mask.stride(0);
    const int64_t end = std::min(s.num_queries, 32 * p_.tree_mask.size(1));
    uint64_t hidden = 0;
    for (int64_t j = std::max<int64_t>(first, 0); j < std::min(first + kTileKeys, end); j++)
      hidden |= static_cast<uint64_t>(~words[j / 32] >> j % 32 & 1) << (j - first);
    return hidden;
  }

  const AttentionProblem& p_;
  const AttentionItem& item_;
  AttentionWorkspace& w_;
  const int64_t group_;  // G
};

}  // namespace warploop::cpu::WARPLOOP_ISA
