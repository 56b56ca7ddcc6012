// What:      score[s] = sum over heads j of weights[t, j] * max(0, scale * q[t, j] . k[s]), s <= p;
//            out[t] = the top_k tokens s with the largest scores, ascending, then -1
// Steps:     score_kernel: 1. verify all sequences; where query t stands
//            2. a query that sees at most top_k keys gets them all
//            3. a tile of keys to shared memory, products with all heads, weighed and summed
//            4. a running selection in the workspace: scores above the least of top_k enter a buffer of 4
//               top_k, in order, which is cut to top_k when it is full (indexer_top_k.select.cuh)
//            5. one span: what is left goes to out
//            merge_kernel, where there are several spans:
//            6. the best top_k of what the spans have left, to out
// Mapping:   an item is a query and a span of its keys. Many queries: one span each, blocks go from item to
//            item. Few: as many spans as let the call fill the GPU, one item per block, 256 keys at least.
//            score_kernel: 128 threads. mma: a tile is 128 keys; warp w has its rows 16 w and 64 + 16 w, all
//            heads as columns, the next tile arrives meanwhile. any: 64 keys, a thread for a key and half of
//            the heads. merge_kernel: a block of 1024 threads per query, a warp for a span
// Resources: mma: 95 KB shared, two blocks per multiprocessor of a Hopper GPU; any: 90 KB; 36 MB of workspace
//            for top_k = 2048 on 132 multiprocessors, whatever L is: no [T, L] scores
// Cost:      scores: 2 Hi Di operations for a query and a key, bound by mma.sync for prompts, and in decoding
//            by one read of the keys. Buffer: of random scores top_k (1 + ln(L / top_k)) enter. Merge: five
//            passes over at most 256 spans of min(top_k, L / spans) entries each. Predicted on an H200, 128K
//            keys, 64 heads of 128: 1 query 60 to 90 us, of which the merge is 45; 16 queries 150 to 190 us,
//            130 of them reading 537 MB; asked: under 200. Prompts: 250 to 330 TFLOP/s
// Numerics:  f32 sums: products over Di, then heads, in an order that depends on neither the tile nor the
//            span. The choice is exact in the scores, of equal ones the smaller position: a row depends on
//            its query and keys alone, whatever is computed beside it. NaN comes before all numbers. Keys
//            that a query does not see, and their pages, are not read
// Limits:    mma: q and keys of one 16-bit dtype, rows aligned to 16 bytes, at most 64 heads, Di up to 128
// Source:    DeepSeek-V3.2-Exp: Boosting Long-Context Efficiency with DeepSeek Sparse Attention, equation 1;
//            keys as rows of the product: DeepGEMM, sm90_fp8_paged_mqa_logits, which stores the logits
#include "ops/indexer_top_k/indexer_top_k.h"

#include "core/attention_limits.h"
#include "cuda/attention/key_ring.cuh"
#include "cuda/attention/paged.h"
#include "cuda/attention/sequences.cuh"
#include "cuda/attention/tile.cuh"
#include "cuda/choose.h"
#include "cuda/device/vectors.cuh"
#include "cuda/launch.h"
#include "cuda/workspace.h"
#include "ops/indexer_top_k/indexer_top_k.select.cuh"

namespace warploop::cuda {

namespace {

constexpr int kThreads = 128, kMergeThreads = 1024, kLeastSpan = 256;
static_assert(kMergeThreads >= kMostPieces &&
              kThreads * RunningSelection::kPiece >= RunningSelection::capacity_for(kMaxTopK, kThreads));

struct IndexerArguments {
  AttentionProblem problem;  // q, and the keys as k; no values
  Rows q, keys;
  TensorView weights, out;
  int32_t top_k;
  float scale;
  int32_t spans;  // of a query
  // Of each block of score_kernel.
  uint32_t* entry_keys;  // [2][capacity]
  int32_t* positions;    // [2][capacity]
  int32_t capacity;
  Piece* left;  // [T][spans]: where the entries of a span lie, in all of entry_keys
};

/// Where a query stands.
struct IndexedQuery {
  int64_t t;
  int row;   // of the page table
  int keys;  // that it sees; 0: its sequence is at fault, or has no such query
};

/// Every thread of the block gets the same. `scratch` may be used again at once.
WARPLOOP_DEVICE IndexedQuery find_query(const IndexerArguments& p, int64_t t,
                                        BlockScratch<uint32_t>& scratch) {
  constexpr uint32_t kNone = 0xffffffffu;
  const int32_t* cu = p.problem.cu_seqlens_q;
  uint32_t own = kNone;
  for (int b = static_cast<int>(threadIdx.x); b < p.problem.num_sequences;
       b += static_cast<int>(blockDim.x)) {
    if (cu[b] <= t && t < cu[b + 1] && own == kNone) own = static_cast<uint32_t>(b);
  }
  const uint32_t b = reduce_block(own, kNone, scratch, SmallerOf{});
  if (b == kNone) return {t, 0, 0};
  const SequenceRange s = read_sequence(p.problem, static_cast<int>(b), false);
  if (s.num_queries == 0) return {t, 0, 0};
  return {t, s.pages, s.first_position + static_cast<int>(t - s.first_query) + 1};
}

WARPLOOP_DEVICE int32_t* out_row(const IndexerArguments& p, int64_t t) {
  return p.out.as<int32_t>() + t * p.out.strides[0];
}

/// Offset of a token's key, in elements; -1: its page is at fault.
WARPLOOP_DEVICE int64_t find_key(const IndexerArguments& p, const IndexedQuery& query, int token) {
  const TensorView &k = p.problem.k, &table = p.problem.page_table;
  const int page_size = static_cast<int>(k.sizes[1]), index = token / page_size;
  const int64_t page = table.as<int32_t>()[query.row * table.strides[0] + index];
  if (page < 0 || page >= k.sizes[0]) {
    raise_fault(p.problem.bad_page, page, k.sizes[0], token);
    return -1;
  }
  return page * k.strides[0] + (token - index * page_size) * k.strides[1];
}

WARPLOOP_DEVICE float weighed(float product, float scale, float weight, float sum) {
  const float x = product * scale;
  return fmaf(weight, x < 0 ? 0.0f : x, sum);  // a NaN stays one
}

/// 3. on tensor cores. kHeads: room for heads, a multiple of 32.
template <class T, int kHeads>
class MmaScores {
 public:
  static constexpr int kTileKeys = 128, kWidth = 128;
  struct Plan {
    struct Stage {
      alignas(128) T keys[kTileKeys * kWidth];
    };
    alignas(128) T heads[kHeads * kWidth];
    Stage stages[2];
    int64_t rows[2][kTileKeys];  // offsets of the keys; -1: zeros
    float weights[kHeads];
    float scores[kTileKeys];
  };

  /// The keys [first, last) of a query.
  WARPLOOP_DEVICE MmaScores(const IndexerArguments& p, const IndexedQuery& query, int first, int last,
                            Plan& plan)
      : p_(p), query_(query), first_(first), last_(last), plan_(plan) {
    const TensorView& q = p.problem.q;
    const int heads = static_cast<int>(q.sizes[1]), own = static_cast<int>(threadIdx.x);
    if (own < kHeads) {
      const float* weights = p.weights.as<float>() + query.t * p.weights.strides[0];
      plan.weights[own] = own < heads ? weights[own] : 0.0f;
    }
    look_up(0);
    look_up(1);
    copy_rows<kHeads, kWidth, kThreads>(plan.heads, q.as<T>(), static_cast<int>(q.sizes[2]), [&](int r) {
      return r < heads ? query.t * q.strides[0] + r * q.strides[1] : int64_t{-1};
    });
    sync_block();
    issue(0);
  }

  /// The score of key threadIdx.x of tile i, in order.
  WARPLOOP_DEVICE float score_tile(int i) {
    const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = lane_index();
    copy_async_wait<0>();
    sync_block();
    issue(i + 1);
    look_up(i + 2);
    float s[2][kHeads / 8][4];
    score<T, kWidth, 2, kHeads / 8>(shared_address(plan_.stages[i % 2].keys), 16 * warp, 3,
                                    shared_address(plan_.heads), 0, s);
    const int heads = static_cast<int>(p_.problem.q.sizes[1]);
    float sums[2][2] = {};
#pragma unroll
    for (int n = 0; n < kHeads / 8; n++) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int head = n * 8 + 2 * (lane % 4) + e % 2;
        if (head >= heads) continue;  // 0 times a key that is not finite
        const float weight = plan_.weights[head];
#pragma unroll
        for (int r = 0; r < 2; r++) sums[r][e / 2] = weighed(s[r][n][e], p_.scale, weight, sums[r][e / 2]);
      }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float sum = sum_lanes<4>(sums[r][h]);
        if (lane % 4 == 0) plan_.scores[64 * r + 16 * warp + 8 * h + lane / 4] = sum;
      }
    }
    sync_block();
    return plan_.scores[threadIdx.x];
  }

 private:
  WARPLOOP_DEVICE void look_up(int i) {
    const int token = first_ + i * kTileKeys + static_cast<int>(threadIdx.x);
    int64_t row = -1;
    if (token < last_) row = find_key(p_, query_, token);
    plan_.rows[i % 2][threadIdx.x] = row;
  }
  WARPLOOP_DEVICE void issue(int i) {
    if (first_ + i * kTileKeys < last_) {
      const int64_t* rows = plan_.rows[i % 2];
      copy_rows<kTileKeys, kWidth, kThreads>(plan_.stages[i % 2].keys, p_.problem.k.as<T>(),
                                             static_cast<int>(p_.problem.k.sizes[3]),
                                             [rows](int r) { return rows[r]; });
    }
    copy_async_commit();
  }

  const IndexerArguments& p_;
  const IndexedQuery query_;
  const int first_, last_;
  Plan& plan_;
};

/// 3. for whatever `check` lets pass.
class AnyScores {
 public:
  static constexpr int kTileKeys = 64, kHeads = 8;  // heads that are multiplied at once
  struct Plan {
    float keys[kTileKeys][kMaxIndexWidth + 1];  // of a lane's key each word lies in a bank of its own
    float heads[kHeads][kMaxIndexWidth];
    float weights[kHeads];
    float scores[2][kTileKeys];
    int64_t rows[kTileKeys];
  };

  WARPLOOP_DEVICE AnyScores(const IndexerArguments& p, const IndexedQuery& query, int first, int last,
                            Plan& plan)
      : p_(p), query_(query), first_(first), last_(last), plan_(plan) {}

  WARPLOOP_DEVICE float score_tile(int i) {
    const int own = static_cast<int>(threadIdx.x), heads = static_cast<int>(p_.problem.q.sizes[1]);
    load_keys(first_ + i * kTileKeys);
    float sum = 0;
    for (int head = 0; head < heads; head += kHeads) {
      load_heads(head);
      sum = add_heads(heads - head, sum);
    }
    plan_.scores[own / kTileKeys][own % kTileKeys] = sum;
    sync_block();
    return plan_.scores[0][own % kTileKeys] + plan_.scores[1][own % kTileKeys];
  }

 private:
  WARPLOOP_DEVICE void load_keys(int tile) {
    const int own = static_cast<int>(threadIdx.x), width = static_cast<int>(p_.problem.k.sizes[3]);
    if (own < kTileKeys) {
      int64_t row = -1;
      if (tile + own < last_) row = find_key(p_, query_, tile + own);
      plan_.rows[own] = row;
    }
    sync_block();
    for (int j = own; j < kTileKeys * width; j += kThreads) {
      float value[1] = {0};
      if (plan_.rows[j / width] >= 0) load_floats(p_.keys, plan_.rows[j / width] + j % width, value);
      plan_.keys[j / width][j % width] = value[0];
    }
  }
  /// Heads from `head` on; those that do not exist are not looked at.
  WARPLOOP_DEVICE void load_heads(int head) {
    const TensorView& q = p_.problem.q;
    const int own = static_cast<int>(threadIdx.x), width = static_cast<int>(q.sizes[2]),
              count = static_cast<int>(q.sizes[1]) - head;
    sync_block();
    for (int j = own; j < kHeads * width && j / width < count; j += kThreads) {
      float value[1];
      load_floats(p_.q, query_.t * q.strides[0] + (head + j / width) * q.strides[1] + j % width, value);
      plan_.heads[j / width][j % width] = value[0];
    }
    if (own < kHeads && own < count)
      plan_.weights[own] = p_.weights.as<float>()[query_.t * p_.weights.strides[0] + head + own];
    sync_block();
  }
  /// One half of the threads has the first four heads, the other one the others.
  WARPLOOP_DEVICE float add_heads(int count, float sum) {
    const int own = static_cast<int>(threadIdx.x), first = own / kTileKeys * (kHeads / 2),
              width = static_cast<int>(p_.problem.k.sizes[3]);
    const float* key = plan_.keys[own % kTileKeys];
    float products[kHeads / 2] = {};
    if (first >= count) return sum;
    for (int d = 0; d < width; d++) {
#pragma unroll
      for (int j = 0; j < kHeads / 2; j++)
        if (first + j < count) products[j] = fmaf(key[d], plan_.heads[first + j][d], products[j]);
    }
#pragma unroll
    for (int j = 0; j < kHeads / 2; j++)
      if (first + j < count) sum = weighed(products[j], p_.scale, plan_.weights[first + j], sum);
    return sum;
  }

  const IndexerArguments& p_;
  const IndexedQuery query_;
  const int first_, last_;
  Plan& plan_;
};

template <class Scores>
struct ScorePlan {
  typename Scores::Plan scores;
  SelectPlan select;
  BlockScratch<long long> queries;
};

/// 1. By one block.
WARPLOOP_DEVICE void verify(const IndexerArguments& p, BlockScratch<long long>& scratch) {
  long long queries = 0;
  for (int b = static_cast<int>(threadIdx.x); b < p.problem.num_sequences; b += kThreads)
    queries += read_sequence(p.problem, b, true).num_queries;
  queries = sum_block(queries, scratch);
  if (threadIdx.x == 0 && queries != p.problem.q.sizes[0])
    raise_fault(p.problem.bad_total, queries, p.problem.q.sizes[0]);
}

template <class Scores>
WARPLOOP_DEVICE void run_item(const IndexerArguments& p, int64_t item, ScorePlan<Scores>& plan) {
  const int span = static_cast<int>(item % p.spans);
  const IndexedQuery query = find_query(p, item / p.spans, plan.select.scratch);
  if (query.keys <= p.top_k) {  // 2.
    int32_t* out = out_row(p, query.t);
    for (int n = static_cast<int>(threadIdx.x); span == 0 && query.keys > 0 && n < p.top_k; n += kThreads)
      out[n] = n < query.keys ? n : -1;
    return;
  }
  constexpr int kTile = Scores::kTileKeys;
  const int keys = std::max((query.keys + p.spans - 1) / p.spans, int{kLeastSpan});
  const int rounded = (keys + kTile - 1) / kTile * kTile;
  const int first = static_cast<int>(std::min<int64_t>(int64_t{span} * rounded, query.keys)),
            last = std::min(first + rounded, query.keys);
  const int64_t buffers = int64_t{2} * p.capacity * blockIdx.x;
  RunningSelection best(p.entry_keys + buffers, p.positions + buffers, p.top_k, plan.select);
  if (first < last) {
    Scores scores(p, query, first, last, plan.scores);
    const int own = static_cast<int>(threadIdx.x);
    for (int i = 0; first + i * kTile < last; i++) {
      const float score = scores.score_tile(i);  // 3.
      const int position = first + i * kTile + own;
      best.add(own < kTile && position < last, score, position);  // 4.
    }
  }
  if (p.spans == 1) {
    best.store(out_row(p, query.t));  // 5.
  } else {
    best.shorten();
    const Piece entries = best.entries();
    if (threadIdx.x == 0) p.left[item] = {static_cast<int>(buffers) + entries.first, entries.count};
  }
}

template <class Scores>
__global__ void __launch_bounds__(kThreads, 2) score_kernel(const __grid_constant__ IndexerArguments p) {
  wait_for_predecessors();
  auto& plan = shared_plan<ScorePlan<Scores>>();
  if (blockIdx.x == 0) verify(p, plan.queries);
  for (int64_t item = blockIdx.x; item < p.out.sizes[0] * p.spans; item += gridDim.x) run_item(p, item, plan);
}

__global__ void __launch_bounds__(kMergeThreads, 1) merge_kernel(const __grid_constant__ IndexerArguments p) {
  wait_for_predecessors();
  auto& plan = shared_plan<SelectPlan>();
  const IndexedQuery query = find_query(p, blockIdx.x, plan.scratch);
  if (query.keys <= p.top_k) return;  // the whole block
  const Piece* left = p.left + query.t * p.spans;
  Selection selection(
      p.entry_keys, p.spans, [left](int i) { return left[i]; }, plan);
  const KeyCut cut = selection.find(static_cast<uint32_t>(p.top_k));  // 6.
  int32_t* out = out_row(p, query.t);
  selection.keep(cut, [&](uint32_t place, int entry) { out[place] = p.positions[entry]; });
}

// --- host ---

template <class Scores>
void run(const IndexerTopKParams& p, CudaContext& context) {
  IndexerArguments arguments{};
  arguments.problem = paged_problem(p, OpId::indexer_top_k, context);
  arguments.problem.q = p.q;
  arguments.problem.k = latent_columns(p.key_pages, p.key_pages.size(2));
  arguments.q = rows_of(p.q), arguments.keys = rows_of(p.key_pages);
  arguments.weights = p.weights, arguments.out = p.out;
  arguments.top_k = p.top_k, arguments.scale = p.scale;

  // As many blocks as run at once, or as the workspace has room for, and spans for all of them.
  Workspace workspace(context);
  const int capacity = RunningSelection::capacity_for(p.top_k, kThreads);
  const int64_t T = p.q.size(0), each = 2 * capacity * 8 + static_cast<int64_t>(sizeof(Piece));
  const int64_t room = std::max<int64_t>((workspace.left() - 3 * Workspace::kAlign) / each, 1);
  const int64_t most = std::min<int64_t>(2 * context.num_sms, room);
  const int64_t longest = p.page_table.size(1) * p.key_pages.size(1);
  const int64_t spans = std::min({most / T, (longest + kLeastSpan - 1) / kLeastSpan, int64_t{kMostPieces}});
  arguments.spans = static_cast<int32_t>(std::max<int64_t>(spans, 1));
  const int64_t items = T * arguments.spans, blocks = std::min(items, most);
  arguments.capacity = capacity;
  arguments.entry_keys = workspace.take<uint32_t>(blocks * 2 * capacity);
  arguments.positions = workspace.take<int32_t>(blocks * 2 * capacity);
  if (arguments.spans > 1) arguments.left = workspace.take<Piece>(items);

  launch<score_kernel<Scores>>(context,
                               {.grid = dim3(static_cast<unsigned>(blocks)),
                                .threads = kThreads,
                                .shared_bytes = sizeof(ScorePlan<Scores>)},
                               arguments);
  if (arguments.spans == 1) return;
  launch<merge_kernel>(
      context,
      {.grid = dim3(static_cast<unsigned>(T)), .threads = kMergeThreads, .shared_bytes = sizeof(SelectPlan)},
      arguments);
}

void run_mma(const IndexerTopKParams& p, CudaContext& context) {
  const bool few = p.q.size(1) <= 32;
  if (p.q.dtype == DType::bf16)
    few ? run<MmaScores<bf16, 32>>(p, context) : run<MmaScores<bf16, 64>>(p, context);
  else
    few ? run<MmaScores<f16, 32>>(p, context) : run<MmaScores<f16, 64>>(p, context);
}

const char* refuse_mma(const IndexerTopKParams& p, const CudaContext&) {
  if (p.q.dtype != p.key_pages.dtype) return "q and the keys have different dtypes";
  if (p.q.dtype == DType::f32) return "f32";
  if (p.q.size(1) > 64) return "more than 64 heads";
  if (p.q.size(2) > 128) return "Di is above 128";
  if (!is_aligned(p.q, 8, 2) || !is_aligned(p.key_pages, 8, 2)) return "rows are not aligned to 16 bytes";
  return nullptr;
}

constexpr Candidate<IndexerTopKParams> kCandidates[] = {
    {.name = "mma", .refuse = refuse_mma, .run = run_mma},
    {.name = "any", .run = run<AnyScores>},
};
const KnownKernels kKnown({OpId::indexer_top_k}, kCandidates);

}  // namespace

void indexer_top_k(const IndexerTopKParams& p, CudaContext& context) {
  choose(OpId::indexer_top_k, kCandidates, p, context).run(p, context);
}

}  // namespace warploop::cuda
