// What:      the end of an item. If its tile is split, the sums of its span lie in the pool, and the block
//            that comes last puts them together: out = sum_k added_k O_k / sum_k added_k l_k
// Steps:     1. the last block of a group of spans adds these, one after another, and leaves the sums where
//               those of the group's first span were
//            2. the last block of a tile and head adds its groups, one after another
//            That is the order and the arithmetic (merge_states) of a block that does all spans of a tile, so
//            neither who is last nor whether the tile is split changes a bit
// Mapping:   a warp takes rows in turn, a lane four columns 128 apart
// Cost:      reads each span's Dv + 2 floats per row once, from L2; a launch of its own would cost each layer
//            of a model more than that
#pragma once
#include "cuda/attention/items.cuh"
#include "cuda/device/last_block.cuh"

namespace warploop::cuda {

/// Parts of a split tile: number k is span `first + k * step`, or the first one where that is negative.
struct TileParts {
  int first, step, count;

  WARPLOOP_DEVICE int span(int k) const { return std::max(first + k * step, 0); }
};

/// Adds the parts, for one row and four of its columns from `column`; the whole warp together.
WARPLOOP_DEVICE float4 add_parts(const AttentionProblem& p, const AttentionPlan& plan,
                                 const AttentionItem& item, int head, int row, const TileParts& parts,
                                 int column, RowState& total) {
  const bool has_columns = column < p.v.sizes[3];
  float4 sums = make_float4(0, 0, 0, 0);
  total = RowState{};
#pragma unroll 4
  for (int k = 0; k < parts.count; k++) {
    float* from = pool_row(p, plan, item, head, row, parts.span(k));
    const float2 state = pool_state(plan, from);
    const float4 part =
        has_columns ? *reinterpret_cast<const float4*>(from + column) : make_float4(0, 0, 0, 0);
    const MergeFactors f = merge_states(total, {state.x, state.y});
    sums.x = fmaf(part.x, f.added, sums.x * f.kept);
    sums.y = fmaf(part.y, f.added, sums.y * f.kept);
    sums.z = fmaf(part.z, f.added, sums.z * f.kept);
    sums.w = fmaf(part.w, f.added, sums.w * f.kept);
  }
  return sums;
}

/// Adds the parts of all rows. `final`: they are the whole tile; if not, the sums take the place of the first
/// part.
template <class Threads>
WARPLOOP_DEVICE void merge_parts(const AttentionProblem& p, const AttentionPlan& plan,
                                 const AttentionItem& item, int head, const TileParts& parts, bool final,
                                 Threads threads) {
  const int width = static_cast<int>(p.v.sizes[3]), lane = lane_index();
  for (int row = threads.index() / kWarpSize; row < item.num_rows; row += threads.count() / kWarpSize) {
    float* const place = pool_row(p, plan, item, head, row, parts.span(0));
    RowState total;
    for (int begin = 0; begin < width; begin += 4 * kWarpSize) {
      const int column = begin + 4 * lane;
      const float4 sums = add_parts(p, plan, item, head, row, parts, column, total);
      if (column >= width) continue;
      if (!final) {
        *reinterpret_cast<float4*>(place + column) = sums;
        continue;
      }
      RowState end = total;
      const float factor = finish_sums(p, plan, item, head, row, end),
                  values[4] = {sums.x, sums.y, sums.z, sums.w};
      const int64_t at = row_offset(p.out, item, plan.group, head, item.first_row + row) + column;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        if (column + i < width) store_result(p.out, at + i, values[i] * factor);
      }
    }
    sync_warp();  // all lanes have read the state that lies in `place`
    if (lane != 0) continue;
    if (!final) pool_state(plan, place) = make_float2(total.max, total.sum);
    if (final && p.lse) {
      finish_sums(p, plan, item, head, row, total);
      p.lse.as<float>()[row_offset(p.lse, item, plan.group, head, item.first_row + row)] = log_sum(total);
    }
  }
}

/// What a kernel calls at the end of each item, with all of the threads that have stored its results or,
/// where item.part >= 0, the sums of its rows into pool_row() of its `index` and their states with
/// store_state(). `is_last` is shared.
template <class Threads = BlockThreads>
WARPLOOP_DEVICE void finish_item(const AttentionProblem& p, const AttentionPlan& plan,
                                 const AttentionItem& item, int head, bool& is_last, Threads threads = {}) {
  if (item.part < 0) return;
  const auto [before, groups] = groups_of(item);
  const int group = (before + item.index) / kGroupSpans, first = std::max(group * kGroupSpans - before, 0),
            end = std::min((group + 1) * kGroupSpans - before, int{item.spans});
  uint32_t* arrivals = plan.arrivals + (item.split_tile * p.k.sizes[2] + head) * plan.tile_arrivals;
  if (!arrive_last(arrivals[group], static_cast<uint32_t>(end - first), is_last, threads)) return;
  merge_parts(p, plan, item, head, {first, 1, end - first}, groups == 1, threads);
  if (groups == 1) return;
  if (!arrive_last(arrivals[groups], static_cast<uint32_t>(groups), is_last, threads)) return;
  merge_parts(p, plan, item, head, {-before, kGroupSpans, groups}, true, threads);
}

}  // namespace warploop::cuda
