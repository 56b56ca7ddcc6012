// How attention is cut into work: sequences into TILES of packed rows (see attention.h), narrow, middle or
// wide ones by how many rows the sequence has; the keys of a tile into SPANS. A span has a softmax of its
// own. Spans are merged in two steps, each in ascending order: those of a GROUP of kGroupSpans, then the
// groups. Groups begin at multiples of kGroupSpans spans.
// Which spans there are follows from the sequence alone, so a row's bits do not depend on what is computed
// beside it. What the batch decides is only who computes them: one block all spans of a tile, merging as it
// goes, or one block per span, the last of which adds what all have left (merge.cuh), in the same order with
// the same arithmetic.
#pragma once
#include <algorithm>

#include "core/attention_limits.h"
#include "core/attention_plan.h"
#include "cuda/attention/scores.cuh"
#include "cuda/device/codes.cuh"
#include "cuda/device/dtype.cuh"
#include "cuda/device/fault.cuh"
#include "cuda/device/warp.cuh"

namespace warploop::cuda {

inline constexpr int kNarrowRows = 16;  // a sequence of at most as many rows is one narrow tile
inline constexpr int kSpanUnit = 128;   // spans are multiples of it, and tiles of keys divide it
inline constexpr int kGroupSpans = 16;
static_assert(kNarrowRows >= kPlanTileRows[kNarrow] && kNarrowRows < kPlanLeastRows[kMiddle]);

/// One tile of rows and a range of its keys, for each KV head.
struct alignas(16) AttentionItem {
  int32_t first_query;     // row of q
  int32_t num_queries;     // Lq
  int32_t num_keys;        // Lk, those that some query sees
  int32_t pages;           // row of the page table, or the first page
  int32_t first_row;       // packed row of the sequence
  int32_t first_key;       // of the first span, a multiple of `span`
  int32_t last_key;        // end of the last span, at most Lk
  int32_t span;            // keys of a span
  int32_t part;            // first row of the pool for the sums of the tile's spans; -1: finishes its rows
  int32_t first_position;  // of query 0 among the keys; may be negative or behind them
  int16_t num_rows;        // of this tile
  int16_t spans;           // of the tile
  int16_t index;           // of a split tile: which of the spans this is
  int16_t split_tile;      // of a split tile: its number, which names its counters
};
static_assert(sizeof(AttentionItem) == kPlanItemBytes);

/// The list of items of a kind of tiles. Whole tiles, longest first, come before the spans of split ones: a
/// span is short, so it is what fills the gaps in the end.
struct AttentionQueue {
  uint32_t num_items;  // each for Hkv heads
  uint32_t num_whole;  // the first of them; spans lie behind, from the end of the memory down
};

struct AttentionPlanHeader {
  PlanSignature signature;
  AttentionQueue queues[kKinds];
};
static_assert(sizeof(AttentionPlanHeader) <= kPlanHeaderBytes);

/// Words of the counters, which a call leaves zero; behind them those of split tiles. `next`: one for each
/// kind.
enum class AttentionCounter { next, spoilt = next + kKinds, count };

/// A call: its plan, which many calls may share and none writes to, and what it has for itself.
struct AttentionPlan {
  // What the plan kernel has written, in p.plan or in the workspace.
  const AttentionPlanHeader* header;
  const AttentionItem* items[kKinds];  // [item_capacity[i]], see item_at()
  int32_t item_capacity[kKinds];

  // Of the kernels that it is for.
  PlanSignature signature;    // what its header has to begin with
  int32_t tile_rows[kKinds];  // rows of a tile
  int32_t blocks[kKinds];     // that work at the same time
  int32_t most_rows[kKinds];  // of a sequence; no more than those of the kind before: there are none
  int32_t group;              // G

  // Counters and workspace.
  uint32_t* next;    // [kKinds]: heads of items handed out
  uint32_t* spoilt;  // not 0: hidden values have spoilt the sums of a row that is not narrow (exact.cuh)
  // Sums of a tile that wait until the block that computes all of its spans has the next ones.
  float4* totals;  // [blocks][totals_per_block[i]]: of spans, of tiles that are not narrow, and of latents
  float4* group_totals;  // [blocks][totals_per_block[i]]: of groups; null: no tile has several
  int64_t totals_per_block[kKinds];
  float* pool;  // [pool_rows][part_stride]: sums of spans, then maximum and sum: merge.cuh
  int64_t pool_rows;
  int32_t part_stride;  // floats, a multiple of 4
  uint32_t* arrivals;   // [split tile][Hkv][tile_arrivals]: blocks that have done their part
  int32_t split_capacity[kKinds];
  int32_t tile_arrivals, most_groups;
};

/// Whether the plan was made for this call. A whole warp. `report`: raise a fault if not.
WARPLOOP_DEVICE bool is_plan_of(const AttentionProblem& p, const AttentionPlan& plan, bool report) {
  const auto& found = plan.header->signature.words;
  const auto& wanted = plan.signature.words;
  const int lane = lane_index();
  if (all_lanes(lane >= kPlanWords || found[lane] == wanted[lane])) return true;
  if (report && lane == 0) {
    int word = 0;
    while (found[word] == wanted[word]) word++;
    raise_fault(p.bad_plan, found[word], wanted[word], word);
  }
  return false;
}

/// Where a split tile's spans lie in groups, which begin at multiples of kGroupSpans spans from key 0.
struct SpanGroups {
  int before;  // spans of the first group that are not of the tile
  int count;
};
WARPLOOP_DEVICE SpanGroups groups_of(const AttentionItem& item) {
  const int before = (item.first_key / item.span - item.index) % kGroupSpans;
  return {before, (before + item.spans + kGroupSpans - 1) / kGroupSpans};
}

/// Whether the kernels stay inside their tensors with an item; if not, the plan has been written over.
WARPLOOP_DEVICE bool is_usable(const AttentionProblem& p, const AttentionPlan& plan, int kind,
                               const AttentionItem& i) {
  const int64_t rows = int64_t{i.num_queries} * plan.group, parts = p.k.sizes[2] * i.num_rows * i.spans,
                behind = int64_t{i.first_position} + i.num_queries;
  return i.first_query >= 0 && i.num_queries >= 0 && int64_t{i.first_query} + i.num_queries <= p.q.sizes[0] &&
         i.first_row >= 0 && i.num_rows >= 0 && i.num_rows <= plan.tile_rows[kind] &&
         int64_t{i.first_row} + i.num_rows <= rows && i.num_keys >= 0 &&
         (behind == i.num_keys || (i.first_position > -kFarthestPosition && behind <= kFarthestPosition)) &&
         i.num_keys <= plan.signature.words[static_cast<int>(PlanWord::capacity)] && i.first_key >= 0 &&
         i.first_key <= i.num_keys && i.last_key >= 0 && i.last_key <= i.num_keys && i.span > 0 &&
         i.span % kSpanUnit == 0 && i.span <= int64_t{i.num_keys} + kSpanUnit && i.spans > 0 &&
         i.spans <= kMaxSpans && i.pages >= 0 && (!p.page_table || i.pages < p.page_table.sizes[0]) &&
         i.part >= -1 &&
         (i.part < 0 || (int64_t{i.part} + parts <= plan.pool_rows && i.index >= 0 && i.index < i.spans &&
                         i.split_tile >= 0 && i.split_tile < plan.split_capacity[kind] &&
                         i.first_key / i.span >= i.index && groups_of(i).count <= plan.most_groups));
}

/// Items of list `kind`, each for Hkv heads.
WARPLOOP_DEVICE uint32_t num_items(const AttentionPlan& plan, int kind) {
  return std::min(plan.header->queues[kind].num_items, static_cast<uint32_t>(plan.item_capacity[kind]));
}

/// Item `at` of list `kind`, in the order in which they are handed out; one without rows where there is none.
WARPLOOP_DEVICE AttentionItem item_at(const AttentionProblem& p, const AttentionPlan& plan, int kind,
                                      uint32_t at) {
  const uint32_t whole = plan.header->queues[kind].num_whole, capacity = plan.item_capacity[kind];
  const uint32_t place = at < whole ? at : capacity - 1 - (at - whole);
  if (place < capacity) {
    const AttentionItem item = plan.items[kind][place];
    if (is_usable(p, plan, kind, item)) return item;
  }
  raise_fault(p.bad_item, at, capacity);
  AttentionItem none{};
  none.span = kSpanUnit;
  none.spans = 1;
  none.part = -1;
  return none;
}

/// Where a packed row stands among the keys of its sequence.
WARPLOOP_DEVICE int position_of(const AttentionItem& item, int group, int row) {
  return row / group + item.first_position;
}
/// Keys [begin, end) that a row sees.
struct KeyRange {
  int begin, end;
};
/// The first key that a query sees, as far as the window says.
WARPLOOP_DEVICE int first_of_window(const AttentionProblem& p, int position) {
  return p.window > 0 && position >= p.window ? position - p.window + 1 : 0;
}
WARPLOOP_DEVICE KeyRange visible_keys(const AttentionProblem& p, int num_keys, int position) {
  const int end = p.causal ? std::min(std::max(position + 1, 0), num_keys) : num_keys;
  return {first_of_window(p, position), end};
}

/// The masks of the call may hide keys from here on.
WARPLOOP_DEVICE int first_maskable(const AttentionProblem& p, const AttentionItem& item) {
  if (p.block_mask) return 0;
  return p.tree_mask ? item.first_position : item.num_keys;
}
/// Of the 32 keys from `key` on, those that the tree mask hides from the query that stands at `position`: a
/// bit each. Bits of keys that there are not may be anything.
WARPLOOP_DEVICE uint32_t hidden_keys(const AttentionProblem& p, const AttentionItem& item, int position,
                                     int key) {
  const int query = position - item.first_position, first = key - item.first_position;
  if (!p.tree_mask || first <= -32 || query >= item.num_queries) return 0;
  const uint32_t* words =
      p.tree_mask.as<uint32_t>() + (int64_t{item.first_query} + query) * p.tree_mask.strides[0];
  const auto hidden_of = [&](int word) {
    return word >= 0 && word < p.tree_mask.sizes[1] ? uint64_t{~words[word]} : 0;
  };
  const int word = first >> 5;
  return static_cast<uint32_t>((hidden_of(word) | hidden_of(word + 1) << 32) >> (first & 31));
}
WARPLOOP_DEVICE bool is_hidden(const AttentionProblem& p, const AttentionItem& item, int position, int key) {
  return hidden_keys(p, item, position, key) & 1;
}

/// Offset of a packed row in a tensor [T, Hq, width].
WARPLOOP_DEVICE int64_t row_offset(const TensorView& t, const AttentionItem& item, int group, int head,
                                   int row) {
  return (item.first_query + row / group) * t.strides[0] + (head * group + row % group) * t.strides[1];
}

/// Sums of one row over some keys, relative to the maximum of its scores; in base 2.
struct RowState {
  float max = -INFINITY;  // of the scores so far; -inf: nothing seen
  float sum = 0;          // of the probabilities
};
/// The factors of the sums so far and of those to be added: total = fmaf(sums, added, total * kept).
struct MergeFactors {
  float kept, added;
};
WARPLOOP_DEVICE MergeFactors merge_states(RowState& total, RowState part) {
  const float max = fmaxf(total.max, part.max), base = max == -INFINITY ? 0.0f : max;
  const MergeFactors f{exp2_fast(total.max - base), exp2_fast(part.max - base)};
  total = {max, fmaf(part.sum, f.added, total.sum * f.kept)};
  return f;
}

/// What makes results of the sums of a packed row; `total` becomes the state with the sink of its head, one
/// more score without a value. A row that has seen nothing gives 0.
WARPLOOP_DEVICE float finish_sums(const AttentionProblem& p, const AttentionPlan& plan,
                                  const AttentionItem& item, int head, int row, RowState& total) {
  float kept = 1;
  if (p.sinks) {
    const float sink = p.sinks.as<float>()[head * plan.group + (item.first_row + row) % plan.group];
    kept = merge_states(total, {sink * kLog2e, 1}).kept;
  }
  return total.sum == 0 ? 0.0f : kept / total.sum;
}
WARPLOOP_DEVICE float log_sum(const RowState& s) {
  constexpr float kLn2 = 0.693147181f;
  return s.sum == 0 ? -INFINITY : s.max * kLn2 + logf(s.sum);
}

/// Where the sums of row `row` of a split tile wait, those of span `index`: Dv of them, then their state.
WARPLOOP_DEVICE float* pool_row(const AttentionProblem& p, const AttentionPlan& plan,
                                const AttentionItem& item, int head, int row, int index) {
  const int64_t heads = p.k.sizes[2];
  return plan.pool + (item.part + (index * heads + head) * item.num_rows + row) * plan.part_stride;
}
WARPLOOP_DEVICE float2& pool_state(const AttentionPlan& plan, float* pool_row) {
  return *reinterpret_cast<float2*>(pool_row + plan.part_stride - 4);
}
/// The state of a row of an item whose sums the block stores: into the pool if it is one of several spans.
WARPLOOP_DEVICE void store_state(const AttentionProblem& p, const AttentionPlan& plan,
                                 const AttentionItem& item, int head, int row, RowState total) {
  if (item.part >= 0) {
    pool_state(plan, pool_row(p, plan, item, head, row, item.index)) = make_float2(total.max, total.sum);
  } else if (p.lse) {
    finish_sums(p, plan, item, head, row, total);
    p.lse.as<float>()[row_offset(p.lse, item, plan.group, head, item.first_row + row)] = log_sum(total);
  }
}

WARPLOOP_DEVICE float load_float(const TensorView& t, int64_t at) {
  if (t.dtype == DType::f32) return t.as<float>()[at];
  if (is_code(t.dtype)) return code_value(t.dtype, t.as<uint8_t>()[at]);
  return t.dtype == DType::bf16 ? to_float(t.as<bf16>()[at]) : to_float(t.as<f16>()[at]);
}

/// + 0: the sign of a zero sum depends on which masked keys were left out.
WARPLOOP_DEVICE void store_result(const TensorView& out, int64_t at, float value) {
  value += 0.0f;
  if (out.dtype == DType::f32) {
    out.as<float>()[at] = value;
  } else if (out.dtype == DType::bf16) {
    out.as<bf16>()[at] = from_float<bf16>(value);
  } else {
    out.as<f16>()[at] = from_float<f16>(value);
  }
}
/// Two neighbours at once, `at` even.
WARPLOOP_DEVICE void store_results(const TensorView& out, int64_t at, float a, float b) {
  a += 0.0f, b += 0.0f;
  if (out.dtype == DType::f32) {
    *reinterpret_cast<float2*>(out.as<float>() + at) = make_float2(a, b);
  } else if (out.dtype == DType::bf16) {
    *reinterpret_cast<uint32_t*>(out.as<bf16>() + at) = pack_pair<bf16>(a, b);
  } else {
    *reinterpret_cast<uint32_t*>(out.as<f16>() + at) = pack_pair<f16>(a, b);
  }
}

}  // namespace warploop::cuda
