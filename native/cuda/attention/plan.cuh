// What:      reads and verifies the sequences of a call, and cuts them into items (items.cuh): the lists that
//            the kernels work off
// Steps:     1. verify; total cost, longest sequence
//            2. sequences, longest first (counting sort by length: the order within a bucket varies from run
//               to run, results do not depend on it)
//            3. in that order, decide who is split among blocks, and write the items, last rows of a sequence
//               first: they see most
// Mapping:   one block; a thread per sequence, then a thread per item
// Cost:      a few microseconds up to some hundred sequences; the host reads nothing, so a recorded graph
//            stays valid
#pragma once
#include <climits>

#include "cuda/attention/items.cuh"
#include "cuda/attention/sequences.cuh"
#include "cuda/device/block.cuh"
#include "cuda/device/fault.cuh"
#include "cuda/device/predecessors.cuh"

namespace warploop::cuda {

inline constexpr int kPlanThreads = 256;
inline constexpr int kPlanBuckets = 64;

/// What the plan kernel writes.
struct PlanLayout {
  AttentionPlanHeader* header;
  AttentionItem* items[kKinds];
  int32_t* order;  // [B] sequences, longest first; workspace
};

struct PlannedSequence : SequenceRange {
  int kind;  // kNarrow, kMiddle or kWide
  int rows, tiles;
  int first_key;    // that any query sees
  int span, spans;  // keys of a span; spans that any query sees
};

struct PlanShared {
  BlockScratch<long long> scratch;
  int kind_sums[kKinds][kPlanThreads / kWarpSize];
  int bucket_start[kPlanBuckets + 1];
  PlannedSequence sequences[kPlanThreads];
  int first_item[kPlanThreads];     // of the sequence, among those of this round
  int list_at[kPlanThreads];        // in the list of its kind, among whole tiles or among spans
  int split_at[kPlanThreads];       // number of its first split tile among those of its kind
  long long part_at[kPlanThreads];  // in the pool; -1: not split
};

WARPLOOP_DEVICE int divide_up(long long a, int b) { return static_cast<int>((a + b - 1) / b); }

/// Keys of a span of a tile that is not narrow, at least. To write and read the sums of 64 rows is a quarter
/// of reading 512 keys and values, which drafts behind long contexts should not pay. Latents, whose sums
/// are as wide as they, least of all.
WARPLOOP_DEVICE int least_span(const AttentionProblem& p, int kind, int keys) {
  return (kind != kWide || p.latent) && keys > 4096 ? 1024 : kWideSpan;
}
/// Keys of a span where a sequence is one narrow tile.
WARPLOOP_DEVICE int span_of_narrow(const AttentionProblem& p, int keys) {
  int span = narrow_span(keys);
  if (p.latent && keys > span)
    span = std::max(span, 2 * kSpanUnit);  // 16 rows of sums are as much as 28 latents
  while (divide_up(keys, span) > kMaxSpans) span *= 2;
  return span;
}

/// Tiles and spans, from the sequence alone.
WARPLOOP_DEVICE void cut(const AttentionProblem& p, const AttentionPlan& plan, PlannedSequence& s) {
  s.rows = s.num_queries * plan.group;
  s.kind = kNarrow;
  while (s.rows > plan.most_rows[s.kind]) s.kind++;
  s.tiles = divide_up(s.rows, plan.tile_rows[s.kind]);
  s.first_key = std::min(first_of_window(p, s.first_position), s.num_keys);
  if (s.kind == kNarrow && (!p.latent || plan.most_rows[kNarrow] == kNarrowRows)) {
    s.span = span_of_narrow(p, s.num_keys);
  } else {
    // As many spans as let the sequence occupy the GPU by itself; with a window a tile sees little anyway.
    const long long heads_of_tiles = s.tiles * p.k.sizes[2];
    const int most_spans = kMaxSpans;
    int spans = std::min(static_cast<int>(plan.blocks[s.kind] / heads_of_tiles),
                         divide_up(s.num_keys, least_span(p, s.kind, s.num_keys)));
    spans = p.window > 0 ? 1 : std::max(std::min(spans, most_spans), 1);
    s.span = std::max(divide_up(divide_up(s.num_keys, spans), kSpanUnit), 1) * kSpanUnit;
  }
  s.first_key = s.first_key / s.span * s.span;
  s.spans = std::max(divide_up(s.num_keys - s.first_key, s.span), 1);
}

WARPLOOP_DEVICE PlannedSequence cut_sequence(const AttentionProblem& p, const AttentionPlan& plan, int b) {
  PlannedSequence s{read_range(p, b)};
  if (s.num_queries > 0) cut(p, plan, s);
  return s;
}

/// Sum of the values of the threads before this one; `total`: of all.
WARPLOOP_DEVICE long long sum_before(long long value, BlockScratch<long long>& scratch, long long& total) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = lane_index();
  const long long before = sum_lanes_before(value);
  if (lane == kWarpSize - 1) scratch.lanes[warp] = before + value;
  sync_block();
  long long warps_before = 0;
  total = 0;
  for (int w = 0; w < kPlanThreads / kWarpSize; w++) {
    if (w == warp) warps_before = total;
    total += scratch.lanes[w];
  }
  sync_block();
  return warps_before + before;
}

/// Sum of the counts of the threads before this one that are of the same kind, and of what the totals were;
/// the counts of all threads are added to those.
WARPLOOP_DEVICE int sum_before(int kind, int count, PlanShared& shared, int (&totals)[kKinds]) {
  constexpr int kWarps = kPlanThreads / kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = lane_index();
  int before = 0;
#pragma unroll
  for (int k = 0; k < kKinds; k++) {
    const int own = k == kind ? count : 0, lanes_before = sum_lanes_before(own);
    if (k == kind) before = lanes_before;
    if (lane == kWarpSize - 1) shared.kind_sums[k][warp] = lanes_before + own;
  }
  sync_block();
#pragma unroll
  for (int k = 0; k < kKinds; k++) {
    for (int w = 0; w < kWarps; w++) {
      if (w == warp && k == kind) before += totals[k];
      totals[k] += shared.kind_sums[k][w];
    }
  }
  sync_block();
  return before;
}

WARPLOOP_DEVICE int bucket_of(const PlannedSequence& s, int longest) {
  const long long keys = s.num_keys - s.first_key;
  return kPlanBuckets - 1 - static_cast<int>(keys * (kPlanBuckets - 1) / std::max(longest, 1));
}

// 2. Returns how many sequences there are to do.
WARPLOOP_DEVICE int sort_sequences(const AttentionProblem& p, const AttentionPlan& plan, int longest,
                                   int32_t* order, PlanShared& shared) {
  const int tid = static_cast<int>(threadIdx.x);
  for (int i = tid; i <= kPlanBuckets; i += kPlanThreads) shared.bucket_start[i] = 0;
  sync_block();
  for (int b = tid; b < num_ranges(p); b += kPlanThreads) {
    const PlannedSequence s = cut_sequence(p, plan, b);
    if (s.num_queries > 0) atomic_add(&shared.bucket_start[bucket_of(s, longest)], 1);
  }
  sync_block();
  long long count;
  const long long size = tid < kPlanBuckets ? shared.bucket_start[tid] : 0;
  const long long start = sum_before(size, shared.scratch, count);
  if (tid < kPlanBuckets) shared.bucket_start[tid] = static_cast<int>(start);
  sync_block();
  for (int b = tid; b < num_ranges(p); b += kPlanThreads) {
    const PlannedSequence s = cut_sequence(p, plan, b);
    if (s.num_queries > 0) order[atomic_add(&shared.bucket_start[bucket_of(s, longest)], 1)] = b;
  }
  sync_block();
  return static_cast<int>(count);
}

WARPLOOP_DEVICE void write_item(const AttentionProblem& p, const AttentionPlan& plan, const PlanLayout& to,
                                const PlanShared& shared, int j, int number) {
  const PlannedSequence& s = shared.sequences[j];
  const int heads = static_cast<int>(p.k.sizes[2]), tile_rows = plan.tile_rows[s.kind];
  const bool split = shared.part_at[j] >= 0;
  const int tile = s.tiles - 1 - (split ? number / s.spans : number), span = split ? number % s.spans : 0;
  AttentionItem item{};
  item.first_query = s.first_query;
  item.num_queries = s.num_queries;
  item.num_keys = s.num_keys;
  item.first_position = s.first_position;
  item.pages = s.pages;
  item.first_row = tile * tile_rows;
  item.num_rows = static_cast<int16_t>(std::min(tile_rows, s.rows - item.first_row));
  item.span = s.span;
  item.spans = static_cast<int16_t>(s.spans);
  item.first_key = s.first_key + span * s.span;
  item.last_key = split && s.num_keys - item.first_key > s.span ? item.first_key + s.span : s.num_keys;
  item.part = -1;
  if (split) {
    const long long tile_part = static_cast<long long>(tile) * s.spans * heads * std::min(tile_rows, s.rows);
    item.part = static_cast<int>(shared.part_at[j] + tile_part);
    item.index = static_cast<int16_t>(span);
    item.split_tile = static_cast<int16_t>(shared.split_at[j] + tile);
  }
  const int at = shared.list_at[j] + number;
  to.items[s.kind][split ? plan.item_capacity[s.kind] - 1 - at : at] = item;
}

/// What the rounds so far have used.
struct PlanProgress {
  int whole[kKinds], spans[kKinds], split[kKinds];  // whole tiles, spans of split ones, tiles worth splitting
  long long parts;                                  // rows of the pool
};

// 3. for the sequences from `first` in the order, one per thread. `shares`: what a block of each kind has to
// do
WARPLOOP_DEVICE void write_items(const AttentionProblem& p, const AttentionPlan& plan, const PlanLayout& to,
                                 const long long (&shares)[kKinds], int first, int count, PlanShared& shared,
                                 PlanProgress& done) {
  const int tid = static_cast<int>(threadIdx.x);
  PlannedSequence s{};
  if (first + tid < count) s = cut_sequence(p, plan, to.order[first + tid]);
  long long share = 0;
#pragma unroll
  for (int kind = 0; kind < kKinds; kind++) share = kind == s.kind ? shares[kind] : share;
  // A sequence is worth splitting when its items would be long against what a block has to do.
  // With a window most spans would be empty for most of several tiles.
  const bool long_items = s.spans > 1 && (s.tiles == 1 || p.window == 0) &&
                          kSplitShare * static_cast<long long>(s.num_keys - s.first_key) > share;
  const long long tile_parts = s.spans * p.k.sizes[2] * std::min(plan.tile_rows[s.kind], s.rows);
  const long long parts = long_items ? s.tiles * tile_parts : 0;
  long long all_parts, all_items;
  const long long part = done.parts + sum_before(parts, shared.scratch, all_parts);
  done.parts += all_parts;
  const int split_at = sum_before(s.kind, long_items ? s.tiles : 0, shared, done.split);
  const bool split =
      long_items && part + parts <= plan.pool_rows && split_at + s.tiles <= plan.split_capacity[s.kind];
  const int items = s.tiles * (split ? s.spans : 1);
  shared.sequences[tid] = s;
  shared.part_at[tid] = split ? part : -1;
  const int whole = sum_before(s.kind, split ? 0 : items, shared, done.whole),
            spans = sum_before(s.kind, split ? items : 0, shared, done.spans);
  shared.first_item[tid] = static_cast<int>(sum_before(items, shared.scratch, all_items));
  shared.list_at[tid] = split ? spans : whole;
  shared.split_at[tid] = split_at;
  sync_block();
  for (int e = tid; e < all_items; e += kPlanThreads) {
    int j = 0;  // the last sequence that begins at or before item e
    for (int step = kPlanThreads / 2; step > 0; step /= 2) {
      if (shared.first_item[j + step] <= e) j += step;
    }
    write_item(p, plan, to, shared, j, e - shared.first_item[j]);
  }
  sync_block();
}

static __global__ void __launch_bounds__(kPlanThreads)
    plan_attention(const __grid_constant__ AttentionProblem p, const __grid_constant__ AttentionPlan plan,
                   const __grid_constant__ PlanLayout to) {
  wait_for_predecessors();
  auto& shared = shared_plan<PlanShared>();
  // 1. verify
  long long queries = 0, costs[kKinds] = {}, longest = 0;
  const auto add = [&](PlannedSequence s) {
    if (s.num_queries == 0) return;
    cut(p, plan, s);
    const long long keys = s.num_keys - s.first_key;
    const long long cost = keys * s.tiles * p.k.sizes[2];
#pragma unroll
    for (int kind = 0; kind < kKinds; kind++) costs[kind] += kind == s.kind ? cost : 0;
    longest = std::max(longest, keys);
  };
  for (int b = static_cast<int>(threadIdx.x); b < p.num_sequences; b += kPlanThreads) {
    const SequenceRange s = read_sequence(p, b, true);
    queries += s.num_queries;
    if (!p.indices) add({s});
  }
  for (int t = static_cast<int>(threadIdx.x); p.indices && t < num_ranges(p); t += kPlanThreads)
    add({read_range(p, t)});
  queries = sum_block(queries, shared.scratch);
  longest =
      reduce_block(longest, 0ll, shared.scratch, [](long long a, long long b) { return a > b ? a : b; });
  long long shares[kKinds];
#pragma unroll
  for (int kind = 0; kind < kKinds; kind++)
    shares[kind] = sum_block(costs[kind], shared.scratch) / plan.blocks[kind];
  if (threadIdx.x == 0 && queries != p.q.sizes[0]) raise_fault(p.bad_total, queries, p.q.sizes[0]);

  const int count = sort_sequences(p, plan, static_cast<int>(longest), to.order, shared);
  PlanProgress done{};
  for (int first = 0; first < count; first += kPlanThreads)
    write_items(p, plan, to, shares, first, count, shared, done);
  if (threadIdx.x == 0) {
#pragma unroll
    for (int kind = 0; kind < kKinds; kind++)
      to.header->queues[kind] = {.num_items = static_cast<uint32_t>(done.whole[kind] + done.spans[kind]),
                                 .num_whole = static_cast<uint32_t>(done.whole[kind])};
  }
  if (threadIdx.x < kPlanWords) to.header->signature.words[threadIdx.x] = plan.signature.words[threadIdx.x];
}

}  // namespace warploop::cuda
