// What:      out[r] = sum over visible j of softmax_j(scale * q[r] . k[j]) v[j];  lse[r] = log(sum of exp(scores))
// Steps:     for each item:  1. pack the queries   2. for each tile of 64 keys: pack K and V, and for each group of 6 rows
//            S = Q K^T, online softmax, O = decay * O + P V   3. O / sum
// Mapping:   the Lq * G query rows of a KV head (G = Hq / Hkv) form one matrix, so that K and V are packed once for all
//            heads that share them. Item = (96 rows of a sequence, KV head), dealt dynamically, last rows of a sequence
//            first because they see most. Per thread: packed tile (32 KB for bf16, Dh 128) in L1/L2, O in L2.
//            While a tile is packed, the next one is fetched from memory.
// Numerics:  f32 sums. Tiles start at multiples of 64 from the beginning of the sequence, and every sum of a row runs in
//            the same order whatever rows and tiles are computed with it: a row's result is bit-identical for every
//            batch, chunk and thread. bf16 q, k, v on AVX512-BF16: products of bf16 pairs, probabilities rounded to bf16.
//            Rows that see nothing: 0, lse -inf. A key outside every row's view is never read, nor is its page id.
// Source:    Dao: FlashAttention-2, arXiv 2307.08691, algorithm 1; pages: Kwon et al., arXiv 2309.06180, equation 4
#include "cpu/attention.h"

#include "core/error.h"
#include "cpu/attention_tile.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int kItemRows = 96;  // amortises packing (3 us a tile) over 16 groups
constexpr int kMaxWidth = 512;

/// Scratch of one thread for one item. Columns of O beyond Dv and steps beyond Dh are unused.
struct Workspace {
  alignas(64) uint32_t queries[kItemRows * kMaxWidth];  // [rows][Dh / kPerUnit]
  alignas(64) uint32_t keys[kMaxWidth * kTileKeys];     // [Dh / kPerUnit][kTileKeys]
  alignas(64) uint32_t values[kTileKeys * kMaxWidth];   // [kTileKeys / kPerUnit][Dv]
  alignas(64) float out[kItemRows * kMaxWidth];         // [rows][Dv]
  alignas(64) float sum[kItemRows * kLanes];            // SoftmaxState
  alignas(64) float max[kItemRows];
  alignas(64) float decay[kGroupRows + kLanes];
  alignas(64) float scores[kGroupRows * kTileKeys];
  alignas(64) uint32_t weights[kGroupRows * kTileKeys];
  alignas(64) float zeros[kMaxWidth];  // stands in for keys and values that nobody sees
  int64_t begin[kItemRows];            // row r sees the keys [begin, end)
  int64_t end[kItemRows];
};
static_assert(sizeof(Workspace) <= kWorkspaceBytes);

struct Item {
  AttentionSequence sequence;
  int64_t head;       // KV head
  int64_t first_row;  // row = query * G + head of the group
  int rows;
};

/// Where the keys and values of a tile lie.
template <class T>
struct TileRows {
  const T* keys[kTileKeys];
  const T* values[kTileKeys];
};

template <class Units, class T>
class ItemKernel {
 public:
  ItemKernel(const AttentionProblem& p, const Item& item, Workspace& w)
      : p_(p),
        item_(item),
        w_(w),
        key_width_(p.k.size(3)),
        value_width_(p.v.size(3)),
        group_(p.q.size(1) / p.k.size(2)) {}

  void run() {
    begin();
    const int64_t first = w_.begin[0], last = w_.end[item_.rows - 1];
    TileRows<T> tiles[2];
    int64_t tile = first / kTileKeys * kTileKeys;
    find_rows(tile, first, last, tiles[0]);
    for (int i = 0; tile < last; tile += kTileKeys, i ^= 1) {
      const bool more = tile + kTileKeys < last;
      if (more) find_rows(tile + kTileKeys, first, last, tiles[i ^ 1]);
      const TileRows<T>& now = tiles[i];
      const TileRows<T>& next = tiles[more ? i ^ 1 : i];
      const int columns = columns_of(last - tile);
      pack_keys<Units>(now.keys, next.keys, key_width_, columns, w_.keys);
      pack_values<Units>(now.values, next.values, value_width_, columns, w_.values);
      for (int r = 0; r < item_.rows; r += kGroupRows) add_tile(tile, r, std::min(kGroupRows, item_.rows - r));
    }
    dispatch_float(p_.out.dtype, [&]<class O>(O) { finish<O>(); });
  }

 private:
  struct Row {
    int64_t token, head;
  };
  Row row(int r) const {
    const int64_t flat = item_.first_row + r;
    return {item_.sequence.first_query + flat / group_, item_.head * group_ + flat % group_};
  }
  static int columns_of(int64_t keys) {
    return static_cast<int>(std::min<int64_t>((keys + kLanes - 1) / kLanes * kLanes, kTileKeys));
  }

  /// 1. packs the queries, resets the sums, notes what each row sees.
  void begin() {
    const AttentionSequence& s = item_.sequence;
    for (int r = 0; r < item_.rows; r++) {
      const int64_t position = (item_.first_row + r) / group_ + s.num_keys - s.num_queries;
      w_.end[r] = p_.causal ? std::max<int64_t>(position + 1, 0) : s.num_keys;
      w_.begin[r] = p_.window > 0 ? std::max<int64_t>(position - p_.window + 1, 0) : 0;
      w_.max[r] = -kInf;
    }
    const auto pack = [&]<class Q>(Q) {
      for (int r = 0; r < item_.rows; r++) {
        const Row at = row(r);
        pack_query<Units>(p_.q.as<Q>() + at.token * p_.q.stride(0) + at.head * p_.q.stride(1), key_width_,
                          w_.queries + r * (key_width_ / Units::kPerUnit));
      }
    };
    if constexpr (Units::kPerUnit == 2) {
      pack(T{});
    } else {
      dispatch_float(p_.q.dtype, pack);
    }
    std::fill_n(w_.out, item_.rows * value_width_, 0.0f);
    std::fill_n(w_.sum, item_.rows * kLanes, 0.0f);
    std::fill_n(w_.zeros, kMaxWidth, 0.0f);
  }

  /// Fills `rows` for the keys of a tile within [first, last).
  void find_rows(int64_t tile, int64_t first, int64_t last, TileRows<T>& rows) const {
    const auto* zeros = reinterpret_cast<const T*>(w_.zeros);
    std::fill_n(rows.keys, kTileKeys, zeros);
    std::fill_n(rows.values, kTileKeys, zeros);
    const AttentionSequence& s = item_.sequence;
    const int64_t page_size = p_.k.size(1);
    for (int64_t j = std::max(tile, first); j < std::min(tile + kTileKeys, last);) {
      const int64_t index = j / page_size;
      const int64_t page = s.pages ? s.pages[index] : s.first_page + index;
      if (page < 0 || page >= p_.k.size(0)) {
        fail_execution("page ", page, " of token ", j, " is outside [0, ", p_.k.size(0), ")");
      }
      const T* key = p_.k.as<T>() + page * p_.k.stride(0) + item_.head * p_.k.stride(2);
      const T* value = p_.v.as<T>() + page * p_.v.stride(0) + item_.head * p_.v.stride(2);
      for (const int64_t stop = std::min({(index + 1) * page_size, tile + kTileKeys, last}); j < stop; j++) {
        rows.keys[j - tile] = key + (j - index * page_size) * p_.k.stride(1);
        rows.values[j - tile] = value + (j - index * page_size) * p_.v.stride(1);
      }
    }
  }

  /// 2. adds the packed tile to the rows [r, r + rows). Later columns than the last row sees are left out.
  void add_tile(int64_t tile, int r, int rows) {
    const int64_t last = w_.end[r + rows - 1];
    if (last <= tile || w_.begin[r] >= tile + kTileKeys) return;
    const int columns = columns_of(last - tile);
    Visible visible[kGroupRows];
    for (int i = 0; i < rows; i++) {
      visible[i] = {static_cast<int>(std::clamp<int64_t>(w_.begin[r + i] - tile, 0, kTileKeys)),
                    static_cast<int>(std::clamp<int64_t>(w_.end[r + i] - tile, 0, kTileKeys))};
    }
    constexpr float kLog2e = 1.44269504f;
    const int64_t key_units = key_width_ / Units::kPerUnit;
    multiply<Units>(rows, w_.queries + r * key_units, key_units, w_.keys, kTileKeys, key_units, nullptr, w_.scores,
                    kTileKeys, columns);
    softmax<Units>(rows, columns, visible, p_.scale * kLog2e, w_.scores,
                   {w_.max + r, w_.sum + r * kLanes, w_.decay}, w_.weights);
    multiply<Units>(rows, w_.weights, kTileKeys / Units::kPerUnit, w_.values, value_width_, columns / Units::kPerUnit,
                    w_.decay, w_.out + r * value_width_, value_width_, value_width_);
  }

  /// 3.
  template <class O>
  void finish() const {
    for (int r = 0; r < item_.rows; r++) {
      const Row at = row(r);
      const float sum = reduce_add(load(w_.sum + r * kLanes));
      const float factor = sum == 0 ? 0 : 1 / sum;
      const float* from = w_.out + r * value_width_;
      O* to = p_.out.as<O>() + at.token * p_.out.stride(0) + at.head * p_.out.stride(1);
      // + 0: the sign of a zero sum depends on how many masked columns were left out
      for (int64_t d = 0; d < value_width_; d += kLanes) store(to + d, load(from + d) * factor + 0.0f);
      if (p_.lse) {
        constexpr float kLn2 = 0.693147181f;
        float* lse = p_.lse.as<float>() + at.token * p_.lse.stride(0) + at.head * p_.lse.stride(1);
        *lse = sum == 0 ? -kInf : w_.max[r] * kLn2 + std::log(sum);
      }
    }
  }

  const AttentionProblem& p_;
  const Item& item_;
  Workspace& w_;
  const int64_t key_width_;    // Dh
  const int64_t value_width_;  // Dv
  const int64_t group_;        // G
};

/// Numbers the tiles of rows of all sequences without a table: sequence b owns the numbers from first_number(b), at least
/// as many as it has tiles; the superfluous ones are empty.
class RowTiles {
 public:
  explicit RowTiles(const AttentionProblem& p) : p_(p), group_(p.q.size(1) / p.k.size(2)) {}
  int64_t count() const { return first_number(p_.num_sequences); }

  /// The rows of tile `number`; rows = 0 when the number is superfluous.
  Item item(int64_t number, int64_t head) const {
    int64_t b = 0, above = p_.num_sequences;  // first_number(b) <= number < first_number(above)
    while (above - b > 1) {
      const int64_t middle = b + (above - b) / 2;
      (first_number(middle) <= number ? b : above) = middle;
    }
    const AttentionSequence s = p_.sequence(p_.source, b);
    const int64_t first_row = (number - first_number(b)) * kItemRows;
    const int64_t rows = std::clamp<int64_t>(s.num_queries * group_ - first_row, 0, kItemRows);
    return {s, head, first_row, static_cast<int>(rows)};
  }

 private:
  int64_t first_number(int64_t b) const {
    const int64_t token = p_.cu_seqlens_q ? p_.cu_seqlens_q[b] : b == 0 ? 0 : p_.q.size(0);
    return token * group_ / kItemRows + b;
  }

  const AttentionProblem& p_;
  const int64_t group_;
};

template <class Units, class T>
void run_items(const AttentionProblem& p, CpuContext& context, int64_t grain) {
  const RowTiles tiles(p);
  const int64_t heads = p.k.size(2), count = tiles.count();
  parallel_for(context.pool(), count * heads, grain, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; i++) {
      const Item item = tiles.item(count - 1 - i / heads, i % heads);
      if (item.rows > 0) ItemKernel<Units, T>(p, item, *context.workspace<Workspace>(thread)).run();
    }
  });
}

/// Verifies all sequences before anything runs. Returns the number of items worth waking a thread for.
int64_t verify(const AttentionProblem& p) {
  const int64_t heads = p.k.size(2), group = p.q.size(1) / heads;
  int64_t rows = 0, cost = 0, items = 0;
  for (int64_t b = 0; b < p.num_sequences; b++) {
    const AttentionSequence s = p.sequence(p.source, b);
    rows += s.num_queries;
    cost += s.num_queries > 0 ? (s.num_keys * (p.k.size(3) + p.v.size(3)) + s.num_queries * group * p.q.size(2)) * heads : 0;
    items += heads;
  }
  if (rows != p.q.size(0)) fail_execution("the sequences have ", rows, " queries, q has ", p.q.size(0));
  return std::max<int64_t>(1, kGrainElements * items / std::max<int64_t>(cost, 1));
}

}  // namespace

void attention(const AttentionProblem& p, CpuContext& context) {
  const int64_t grain = verify(p);
  if (p.q.size(0) == 0 || p.q.size(1) == 0) return;
#if defined(__AVX512BF16__)
  if (p.q.dtype == DType::bf16 && p.k.dtype == DType::bf16) return run_items<Bf16Units, bf16_t>(p, context, grain);
#endif
  dispatch_float(p.k.dtype, [&]<class T>(T) { run_items<F32Units, T>(p, context, grain); });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
