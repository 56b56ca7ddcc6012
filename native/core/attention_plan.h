// The plan of attention, which attentionPlan makes and pagedAttention reads: what it was made for, and how
// much memory it takes. Here and not in a device's folder, since lib/ops/attentionPlan.ts allocates it
// (attentionPlanBytes).
#pragma once
#include <algorithm>
#include <cstdint>

namespace warploop {

/// What a plan is made for, in the words that it begins with. Whoever reads a plan compares all of them.
enum class PlanWord {
  // That its items are cut for: 0: any; width of tiles (576: latents), + 1: Hopper's, + 2: of codes; the CPU:
  // -1 and less, its dtypes.
  kernel,
  queries,      // T
  sequences,    // B
  table_rows,   // R
  capacity,     // tokens that a row of the page table has room for
  group,        // Hq / Hkv
  heads,        // Hkv
  window,       // 0: none
  value_width,  // Dv
  pool_rows,    // for sums of spans, in the workspace of whoever reads the plan
  offsets,      // 1: made with queryOffsets
  max_queries,  // of a sequence; 0: not known
  latent,       // 1: of mlaAttention
  count
};
inline constexpr int kPlanWords = static_cast<int>(PlanWord::count);

struct PlanSignature {
  int64_t words[kPlanWords];

  int64_t& operator[](PlanWord word) { return words[static_cast<int>(word)]; }
};

/// The text of the error for a plan of another call; the words are those of PlanWord.
inline constexpr const char kOtherPlan[] =
    "plan: made for another call: its {index:kernel or dtypes|number of queries|number of sequences|"
    "number of rows of the page table|room for tokens in a row of the page table|Hq / Hkv|Hkv|window|Dv|"
    "pool|queryOffsets|maxQueries|latent} is {value}, not {limit}";

/// The same of a call whose rows are not aligned as a plan expects it.
inline constexpr const char kUnalignedPlan[] =
    "plan: made for rows that begin at multiples of 16 bytes, and those of q, kPages, vPages or out here do "
    "not: leave it out; number {index} is {value}, not {limit}";

/// The text of the error for a token that its query cannot see.
inline constexpr const char kBadIndex[] = "indices[{index}] has token {value}, outside [-1, {limit})";

/// The text of the error for a sequence with more queries than the call says.
inline constexpr const char kManyQueries[] = "sequence {index} has {value} queries, maxQueries is {limit}";

/// Positions of queries in pages are nearer to 0 than this, so that 32 bits suffice for what is computed with
/// them.
inline constexpr int32_t kFarthestPosition = 1 << 30;
/// The texts of the errors for others, with queryOffsets and without.
inline constexpr const char kFarQueries[] =
    "queryOffsets[{index}] = {value} puts a query {limit} or more tokens away from the first key";
inline constexpr const char kLongContext[] =
    "contextLens[{index}] = {value} puts a query {limit} or more tokens away from the first key";

// How sequences are cut, as far as the size of a plan depends on it: see cuda/attention/items.cuh.

// Kinds of tiles: a sequence of few rows has narrow ones, and so on. Each kind has a list of items and a
// kernel of its own; kernels that have no middle tiles leave that list empty.
inline constexpr int kNarrow = 0, kMiddle = 1, kWide = 2, kKinds = 3;

inline constexpr int kMaxSpans = 256;  // of a tile of rows
/// Keys of a span of a narrow tile, doubled where kMaxSpans do not suffice: few keys have short spans, so
/// that one sequence has work for many blocks.
constexpr int narrow_span(int64_t keys) { return keys <= 2048 ? 128 : keys <= 4096 ? 256 : 512; }
inline constexpr int kWideSpan = 512;  // keys of a span of a wide tile, at least
/// Spans of a sequence of at most so many keys.
constexpr int64_t most_spans(int64_t most_keys) {
  const int64_t short_ones = (std::min<int64_t>(most_keys, 2048) + 127) / 128,
                long_ones = (most_keys + 511) / 512;
  return std::clamp<int64_t>(std::max(short_ones, long_ones), 1, kMaxSpans);
}
inline constexpr int kSplitShare = 4;  // items longer than 1 / kSplitShare of a block's share may be split
inline constexpr int64_t kMostSplit = 32767;                // tiles of a kind: items number them with 16 bits
inline constexpr int kPlanTileRows[kKinds] = {16, 64, 32};  // of the smallest tiles
inline constexpr int kPlanLeastRows[kKinds] = {1, 17, 17};  // of a sequence
inline constexpr int kPlanBlocks[kKinds] = {3, 2, 2};       // of a multiprocessor, at most

/// What the memory of a plan depends on.
struct PlanSizes {
  int64_t processors;  // multiprocessors of the GPU; 0: the CPU
  int64_t queries, sequences, group, heads;
  int64_t most_keys;    // of a sequence
  int64_t max_queries;  // of a sequence; 0: not known
};

/// Rows that a sequence can have.
inline int64_t most_rows(int64_t queries, int64_t group, int64_t max_queries) {
  return group * (max_queries > 0 ? std::min(queries, max_queries) : queries);
}

/// What a GPU's plan has of each kind of tiles, at most.
struct PlanLists {
  int64_t items[kKinds];
  int64_t split[kKinds];  // tiles whose spans are items of their own
};

/// Tiles are split whose keys are more than 1 / kSplitShare of what a block has to do. Since all tiles of
/// all heads together are what all blocks have to do, fewer than kSplitShare tiles per block can be.
inline PlanLists plan_lists(const PlanSizes& s) {
  const int64_t spans = most_spans(s.most_keys), rows = s.queries * s.group;
  PlanLists lists{};
  for (int kind = 0; kind < kKinds; kind++) {
    if (most_rows(s.queries, s.group, s.max_queries) < kPlanLeastRows[kind]) continue;
    const int64_t tiles = rows / kPlanTileRows[kind] + std::min(s.sequences, rows / kPlanLeastRows[kind]);
    lists.split[kind] =
        spans == 1 ? 0
                   : std::min({tiles, kSplitShare * kPlanBlocks[kind] * s.processors / s.heads, kMostSplit});
    lists.items[kind] = tiles + lists.split[kind] * spans;
  }
  return lists;
}

inline constexpr int64_t kPlanHeaderBytes = 128;  // the signature, and what a device adds to it
inline constexpr int64_t kPlanItemBytes = 48;

/// A sequence, as the CPU's plan has it behind the header.
struct PlannedRange {
  int32_t first_query, num_queries;
  int32_t num_keys;  // that some query sees, from the first one on
  int32_t table_row;
  int32_t first_position;  // of the first query among the keys; may be negative or behind them
};

inline int64_t attention_plan_bytes(const PlanSizes& s) {
  if (s.processors == 0) return kPlanHeaderBytes + s.sequences * static_cast<int64_t>(sizeof(PlannedRange));
  const PlanLists lists = plan_lists(s);
  int64_t items = 0;
  for (const int64_t of_kind : lists.items) items += of_kind;
  return kPlanHeaderBytes + kPlanItemBytes * items;
}

}  // namespace warploop
