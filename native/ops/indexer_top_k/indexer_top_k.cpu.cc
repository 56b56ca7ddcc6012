// What:      score[s] = sum over heads j of weights[t, j] * max(0, scale * q[t, j] . k[s]), s <= p;
//            out[t] = the top_k tokens s with the largest scores, ascending, then -1
// Steps:     1. verify all sequences   2. queries that see at most top_k keys get them all
//            3. for each tile of 64 keys: pack it once for a block of queries, multiply, weigh
//            4. a running selection: what is better than the worst of top_k goes into a buffer of twice as
//               many, which is cut to top_k whenever it is full   5. join the threads' selections, sort
// Mapping:   blocks of 4 queries of a sequence are dealt to threads; where there are few of them (decoding),
//            the tiles of one after another are, and every thread has a selection of its own
// Cost:      2 Hi Di operations for a query and a key: a matrix product, at its speed. A tile is packed for 4
//            Hi rows. Of the scores of random keys top_k (1 + ln(L / top_k)) come into the buffer
// Numerics:  f32 sums: products in order of Di, then heads in order. A score depends on its query and key
//            alone, and the choice is exact in the scores, so that a row has the same bits whatever else is
//            computed. Of equal scores the smaller position; NaN before all numbers. bf16 q and keys on
//            AVX512-BF16: products of bf16 pairs
// Source:    DeepSeek-V3.2-Exp: Boosting Long-Context Efficiency with DeepSeek Sparse Attention, equation 1
#include "ops/indexer_top_k/indexer_top_k.h"

#include <algorithm>
#include <bit>

#include "core/error.h"
#include "cpu/attention_packed.h"
#include "cpu/paged_sequence.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int kBlockQueries = 4;

/// Integers in the order of rank: the larger score first, NaN before all, of equal ones the lower position.
/// Never 0.
uint64_t rank_of(float score, int32_t position) {
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  const uint32_t key = score != score ? ~0u : bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<uint64_t>(key) << 32 | ~static_cast<uint32_t>(position);
}
int32_t position_of(uint64_t rank) { return static_cast<int32_t>(~static_cast<uint32_t>(rank)); }

/// The best `wanted` of the tokens that it has been offered, and maybe others.
struct Best {
  uint64_t* ranks;  // [2 wanted]
  int64_t wanted, size;
  uint64_t least;  // what comes in is better
  float floor;     // not less than it

  void begin(uint64_t* memory, int64_t k) { *this = {memory, k, 0, 0, -kInf}; }

  void offer(uint64_t rank) {
    if (rank <= least) return;
    ranks[size++] = rank;
    if (size == 2 * wanted) shorten();
  }
  /// Scores of `count` tokens from `first` on; the array goes on for whole vectors.
  void offer(const float* scores, int count, int32_t first) {
    for (int j = 0; j < count; j += kLanes) {
      const vf x = load(scores + j);
      if (!any((x >= floor) | (x != x))) continue;
      for (int i = j; i < std::min(j + kLanes, count); i++) offer(rank_of(scores[i], first + i));
    }
  }
  void shorten() {
    if (size <= wanted) return;
    std::nth_element(ranks, ranks + wanted - 1, ranks + size, [](uint64_t a, uint64_t b) { return a > b; });
    size = wanted;
    least = ranks[wanted - 1];
    const auto key = static_cast<uint32_t>(least >> 32);
    floor = key == ~0u ? kInf : std::bit_cast<float>(key & 0x80000000u ? key & 0x7fffffffu : ~key);
  }
};

/// Of a thread.
struct Scratch {
  alignas(64) uint32_t queries[kBlockQueries * kMaxIndexHeads * kMaxIndexWidth];  // [queries][Hi][units]
  alignas(64) uint32_t keys[kMaxIndexWidth * kTileKeys];                          // [units][kTileKeys]
  alignas(64) float products[kPackedRows * kTileKeys];
  alignas(64) float scores[kTileKeys];
  Best best[kBlockQueries];
  uint64_t ranks[kBlockQueries][2 * kMaxTopK];
};
static_assert(sizeof(Scratch) <= kWorkspaceBytes);

/// Queries [first, first + count) of a step, neighbours in a sequence.
struct QueryBlock {
  int64_t first;
  int count;
  int64_t position;  // of the first
  const int32_t* pages;
};

template <class Units, class T>
class Indexer {
 public:
  Indexer(const IndexerTopKParams& p, const CpuContext& context)
      : p_(p), context_(context), Hi_(p.q.size(1)), units_(p.q.size(2) / Units::kPerUnit) {}

  /// By one thread.
  void run(const QueryBlock& block, int thread) const {
    Scratch& scratch = *context_.workspace<Scratch>(thread);
    begin(block, scratch, scratch);
    add_tiles(block, 0, tiles_of(block), scratch, scratch);
    store(block, scratch);
  }

  /// By all threads.
  void run_together(const QueryBlock& block) const {
    const int threads = context_.pool().threads();
    Scratch& first = *context_.workspace<Scratch>(0);
    for (int thread = 0; thread < threads; thread++)
      begin(block, first, *context_.workspace<Scratch>(thread));
    const int64_t cost = block.count * Hi_ * units_ * kTileKeys / kLanes;
    const int64_t grain = std::max<int64_t>(kLeastTiles, kGrainElements / std::max<int64_t>(cost, 1));
    parallel_for(context_.pool(), tiles_of(block), grain, [&](int64_t begin, int64_t end, int thread) {
      add_tiles(block, begin, end, first, *context_.workspace<Scratch>(thread));
    });
    for (int thread = 1; thread < threads; thread++) {
      Scratch& other = *context_.workspace<Scratch>(thread);
      for (int i = 0; i < block.count; i++) {
        for (int64_t n = 0; n < other.best[i].size; n++) first.best[i].offer(other.best[i].ranks[n]);
      }
    }
    store(block, first);
  }

 private:
  static constexpr int64_t kLeastTiles = 4;  // that a thread takes: each takes and fetches what follows

  int64_t end_of(const QueryBlock& block, int i) const { return block.position + i + 1; }
  int64_t tiles_of(const QueryBlock& block) const {
    return (end_of(block, block.count - 1) + kTileKeys - 1) / kTileKeys;
  }

  /// Empty selections in `own`, and, where that is `shared`, the queries.
  void begin(const QueryBlock& block, Scratch& shared, Scratch& own) const {
    for (int i = 0; i < block.count; i++) own.best[i].begin(own.ranks[i], p_.top_k);
    if (&own != &shared) return;
    const auto pack = [&]<class Q>(Q) {
      for (int64_t row = 0; row < block.count * Hi_; row++) {
        const Q* from =
            p_.q.as<Q>() + (block.first + row / Hi_) * p_.q.stride(0) + row % Hi_ * p_.q.stride(1);
        pack_query<Units>(from, p_.q.size(2), shared.queries + row * units_);
      }
    };
    if constexpr (Units::kPerUnit == 2) {
      pack(T{});
    } else {
      dispatch_float(p_.q.dtype, pack);
    }
  }

  /// Where the keys of a tile below `end` lie; those behind repeat one. None: all null.
  void find_keys(const QueryBlock& block, int64_t tile, int64_t end, const T* (&keys)[kTileKeys]) const {
    const int64_t page_size = p_.key_pages.size(1), first = tile * kTileKeys;
    for (int64_t j = first; j < first + kTileKeys; j++) {
      if (j >= end) {
        keys[j - first] = j > first ? keys[0] : nullptr;
        continue;
      }
      const int64_t page = block.pages[j / page_size], P = p_.key_pages.size(0);
      if (page < 0 || page >= P) fail_execution("page ", page, " of token ", j, " is outside [0, ", P, ")");
      keys[j - first] =
          p_.key_pages.as<T>() + page * p_.key_pages.stride(0) + j % page_size * p_.key_pages.stride(1);
    }
  }

  /// Tiles [begin, end) for all queries of the block.
  void add_tiles(const QueryBlock& block, int64_t begin, int64_t end, const Scratch& shared,
                 Scratch& own) const {
    const int64_t last = std::min(end_of(block, block.count - 1), end * kTileKeys);
    const T* keys[2][kTileKeys];
    find_keys(block, begin, last, keys[0]);
    for (int64_t tile = begin; tile < end; tile++) {
      const T*(&now)[kTileKeys] = keys[(tile - begin) % 2];
      const T*(&next)[kTileKeys] = keys[(tile - begin + 1) % 2];
      find_keys(block, tile + 1, last, next);
      const int64_t seen = std::min<int64_t>(kTileKeys, last - tile * kTileKeys);
      const int columns = static_cast<int>((seen + kLanes - 1) / kLanes * kLanes);
      const FetchAhead<T> ahead(next, next + kTileKeys, p_.q.size(2) * static_cast<int64_t>(sizeof(T)));
      pack_keys<Units>(now, 0, p_.q.size(2), columns, ahead, own.keys);
      for (int i = 0; i < block.count; i++) {
        const int64_t count = std::min(end_of(block, i) - tile * kTileKeys, seen);
        if (count <= 0) continue;
        score(block.first + i, shared.queries + i * Hi_ * units_, columns, own);
        own.best[i].offer(own.scores, static_cast<int>(count), static_cast<int32_t>(tile * kTileKeys));
      }
    }
  }

  /// Scores of query t with the keys that have been packed.
  void score(int64_t t, const uint32_t* query, int columns, Scratch& own) const {
    const float* weights = p_.weights.as<float>() + t * p_.weights.stride(0);
    for (int j = 0; j < columns; j += kLanes) cpu::WARPLOOP_ISA::store(own.scores + j, vf{});
    for (int64_t head = 0; head < Hi_; head += kPackedRows) {
      const int rows = static_cast<int>(std::min<int64_t>(kPackedRows, Hi_ - head));
      multiply<Units>(rows, query + head * units_, units_, own.keys, kTileKeys, units_, nullptr, own.products,
                      kTileKeys, columns);
      for (int j = 0; j < columns; j += kLanes) {
        vf sum = load(own.scores + j);
        for (int r = 0; r < rows; r++) {
          const vf x = load(own.products + r * kTileKeys + j) * p_.scale;
          // a NaN stays one
          sum = fused_multiply_add(x < 0.0f ? vf{} : x, splat(weights[head + r]), sum);
        }
        cpu::WARPLOOP_ISA::store(own.scores + j, sum);
      }
    }
  }

  void store(const QueryBlock& block, Scratch& own) const {  // 5.
    for (int i = 0; i < block.count; i++) {
      Best& best = own.best[i];
      best.shorten();
      int32_t* out = p_.out.as<int32_t>() + (block.first + i) * p_.out.stride(0);
      for (int64_t n = 0; n < best.size; n++) out[n] = position_of(best.ranks[n]);
      std::sort(out, out + best.size, [](int32_t a, int32_t b) { return a < b; });
    }
  }

  const IndexerTopKParams& p_;
  const CpuContext& context_;
  const int64_t Hi_, units_;
};

int64_t capacity_of(const IndexerTopKParams& p) { return p.page_table.size(1) * p.key_pages.size(1); }

PlannedRange sequence_of(const IndexerTopKParams& p, int64_t b) {
  return read_paged_sequence(p, p.q.size(0), capacity_of(p), b);
}

void verify(const IndexerTopKParams& p) {  // 1.
  int64_t queries = 0;
  for (int64_t b = 0; b < p.rows.size(0); b++) queries += sequence_of(p, b).num_queries;
  if (queries != p.q.size(0)) fail_execution("the sequences have ", queries, " queries, q has ", p.q.size(0));
}

/// Calls run(block) for the queries [first, end) that see more than top_k keys; the others are done with.
template <class Run>
void for_blocks(const IndexerTopKParams& p, int64_t first, int64_t end, const Run& run) {
  const int32_t* cu = p.cu_seqlens_q.as<int32_t>();
  while (first < end) {
    const int64_t b = std::upper_bound(cu, cu + p.rows.size(0) + 1, first,
                                       [](int64_t t, int32_t begin) { return t < begin; }) -
                      cu - 1;
    const PlannedRange s = sequence_of(p, b);
    const int64_t stop = std::min<int64_t>(end, s.first_query + s.num_queries);
    int64_t position = s.first_position + first - s.first_query;
    for (; first < stop && position < p.top_k; first++, position++) {  // 2.
      int32_t* out = p.out.as<int32_t>() + first * p.out.stride(0);
      for (int32_t n = 0; n < p.top_k; n++) out[n] = n <= position ? n : -1;
    }
    if (first < stop) {
      const int32_t* pages = p.page_table.as<int32_t>() + s.table_row * p.page_table.stride(0);
      run(QueryBlock{first, static_cast<int>(stop - first), position, pages});
    }
    first = stop;
  }
}

template <class Units, class T>
void choose_all(const IndexerTopKParams& p, CpuContext& context) {
  const Indexer<Units, T> indexer(p, context);
  const int64_t queries = p.q.size(0), blocks = (queries + kBlockQueries - 1) / kBlockQueries;
  if (blocks < 4 * context.pool().threads()) {
    for (int64_t first = 0; first < queries; first += kBlockQueries) {
      for_blocks(p, first, std::min(first + kBlockQueries, queries),
                 [&](const QueryBlock& block) { indexer.run_together(block); });
    }
    return;
  }
  parallel_for(context.pool(), blocks, 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t first = (blocks - 1 - i) * kBlockQueries;  // the last of a prompt see most
      for_blocks(p, first, std::min(first + kBlockQueries, queries),
                 [&](const QueryBlock& block) { indexer.run(block, thread); });
    }
  });
}

}  // namespace

void indexer_top_k(const IndexerTopKParams& p, CpuContext& context) {
  verify(p);
#if defined(__AVX512BF16__)
  if (p.q.dtype == DType::bf16 && p.key_pages.dtype == DType::bf16)
    return choose_all<Bf16Units, bf16_t>(p, context);
#endif
  dispatch_float(p.key_pages.dtype, [&]<class T>(T) { choose_all<F32Units, T>(p, context); });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
