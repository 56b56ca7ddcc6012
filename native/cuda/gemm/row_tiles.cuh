// Which tile a block works on and which rows of x it reads.
#pragma once
#include "cuda/device/fault.cuh"
#include "cuda/device/warp.cuh"
#include "cuda/gemm/product.h"

namespace warploop::cuda {

/// Whose product a block works on; 0 where there are no heads.
WARPLOOP_DEVICE int head_index() { return static_cast<int>(blockIdx.y); }

/// The first row of x of the block's head.
template <class T>
WARPLOOP_DEVICE const T* head_of_x(const Product& p) {
  return static_cast<const T*>(p.x) + head_index() * p.heads.x_stride;
}

/// What a block works on: one split of one tile.
struct TilePlace {
  int tile;  // among all tiles of all heads, for the split's partials and counter
  int row, column, split;
};

WARPLOOP_DEVICE TilePlace tile_place(const Product& p) {
  const int block = static_cast<int>(blockIdx.x), tile = block % p.tiles.count();
  const TileIndex index = p.tiles.at(tile);
  return {tile + head_index() * p.tiles.count(), index.row, index.column, block / p.tiles.count()};
}

/// Steps [begin, begin + count) of a tile's way through K.
struct Steps {
  int begin, count;
};
/// Those of split number `split` of `splits`.
WARPLOOP_DEVICE Steps share_of(int steps, int splits, int split) {
  const int each = steps / splits, more = steps % splits;  // the first `more` splits have one more
  return {split * each + (split < more ? split : more), each + (split < more ? 1 : 0)};
}
WARPLOOP_DEVICE Steps split_steps(int steps, const Product& p, const TilePlace& at) {
  return share_of(steps, p.splits, at.split);
}

/// The rows of out of one row tile, all of one group.
struct RowBlock {
  int group, count;  // the group is the place of the weight: an expert, or a head
  int64_t first;
};

/// Rows of a group, made safe: inside [0, rows] whatever the offsets hold (check_groups reports them).
WARPLOOP_DEVICE RowBlock group_rows(const Product& p, int group) {
  const int64_t begin = p.groups.offsets[group], end = p.groups.offsets[group + 1];
  const int64_t first = begin < 0 ? 0 : begin < p.rows ? begin : p.rows;
  const int64_t last = end < first ? first : end < p.rows ? end : p.rows;
  return {group, static_cast<int>(last - first), first};
}

/// The row tile `index` of all groups' tiles of kRows rows; count 0 beyond the last. Every lane of the warp
/// calls it.
template <bool kGrouped, int kRows>
WARPLOOP_DEVICE RowBlock find_rows(const Product& p, int index) {
  if constexpr (!kGrouped) {
    const int64_t first = static_cast<int64_t>(index) * kRows, left = p.rows - first;
    return {head_index(), static_cast<int>(left < kRows ? left : kRows), first};
  } else {
    int before = 0;
    for (int base = 0; base < p.groups.count; base += kWarpSize) {
      const int group = base + lane_index();
      const RowBlock rows = group < p.groups.count ? group_rows(p, group) : RowBlock{0, 0, 0};
      const int tiles = (rows.count + kRows - 1) / kRows;
      const int begin = before + sum_lanes_before(tiles);
      const bool mine = index >= begin && index < begin + tiles;
      before = shuffle(begin + tiles, kWarpSize - 1);
      if (index >= before) continue;
      const int skipped = (index - begin) * kRows, left = rows.count - skipped;
      const int lane = sum_lanes(mine ? lane_index() : 0);
      return {base + lane, shuffle(left < kRows ? left : kRows, lane), shuffle(rows.first + skipped, lane)};
    }
    return {0, 0, 0};
  }
}

/// The biases of a group; null: there are none.
WARPLOOP_DEVICE const float* bias_of(const Epilogue& e, int group) {
  return e.bias ? e.bias + group * e.bias_stride : nullptr;
}

/// The first block reports offsets that are out of order or out of range.
WARPLOOP_DEVICE void check_groups(const Product& p) {
  if (blockIdx.x != 0) return;
  const Groups& g = p.groups;
  for (int e = static_cast<int>(threadIdx.x); e < g.count; e += static_cast<int>(blockDim.x)) {
    if (g.offsets[e] > g.offsets[e + 1]) raise_fault(g.decreasing, g.offsets[e], 0, e);
    const int first = g.offsets[0], last = g.offsets[g.count];
    if (e == 0 && (first < 0 || last > p.rows)) raise_fault(g.outside, last, p.rows, first);
  }
}

/// The row of x behind the i-th row of a block; -1: none.
template <bool kGrouped>
WARPLOOP_DEVICE int64_t source_row(const Product& p, const RowBlock& rows, int i) {
  if (i >= rows.count) return -1;
  const int64_t row = rows.first + i;
  if constexpr (kGrouped) {
    if (p.groups.order) {
      const int source = p.groups.order[row];
      if (source >= 0 && source / p.groups.top_k < p.x_rows) return source / p.groups.top_k;
      raise_fault(p.groups.bad_order, source, p.x_rows, row);
      return -1;
    }
  }
  return row;
}

}  // namespace warploop::cuda
