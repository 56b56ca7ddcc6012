// One work item of attention: some rows, the KV heads they need and a range of keys, run by one thread. Which
// items there are is attention.cc's business.
//
// Keys are processed in SPANS of 256 at multiples of 256 from the beginning of the sequence. Each span has
// its own online softmax, and the spans of a row are merged in ascending order. So spans may run on different
// threads (the long context of one sequence) or in one loop (a prompt) with the same arithmetic.
//
// A value that a row does not see has the weight 0, and 0 times NaN or infinity is NaN. That is rare and
// shows in the sums, so an item is computed without a thought of it, and once more, EXACTLY, if a sum is not
// finite: each query's rows by themselves, zeros in place of the values that they do not see. Both times the
// operations of a row and their order are the same, so a row keeps its bits.
#pragma once
#include "cpu/activations.h"
#include "cpu/attention_direct.h"
#include "cpu/attention_latents.h"
#include "cpu/attention_packed.h"
#include "cpu/attention_sums.h"
#include "cpu/attention_views.h"
#include "cpu/attention_workspace.h"

namespace warploop::cpu::WARPLOOP_ISA {

template <class Units, class T>
class ItemKernel {
 public:
  ItemKernel(const AttentionProblem& p, const AttentionItem& item, AttentionWorkspace& w)
      : p_(p),
        item_(item),
        w_(w),
        views_(p, item, w),
        key_width_(p.q.size(2)),
        value_width_(p.v.size(3)),
        group_(p.q.size(1) / p.k.size(2)),
        rows_(static_cast<int>(item.num_rows)),
        state_rows_(static_cast<int>(item.num_rows * item.num_heads)) {}

  void run() {
    views_.find();
    pack_queries();
    add_keys(false);
    if (store_sums()) return;
    add_keys(true);
    store_sums();
  }

  /// Merges the parts that the items of `spans` spans have left, those of span s at parts(s), and finishes
  /// `out`.
  template <class SpanParts>
  void finish_spans(int64_t spans, const SpanParts& parts) {
    views_.find();
    clear_total();
    for (int64_t s = 0; s < spans; s++) {
      for (int i = 0; i < state_rows_; i++) merge(total(i), part_at(parts(s), i, value_width_), value_width_);
    }
    dispatch_float(p_.out.dtype, [&]<class O>(O) { finish<O>(); });
  }

 private:
  static int columns_of(int64_t keys) {
    return static_cast<int>(std::min<int64_t>((keys + kLanes - 1) / kLanes * kLanes, kTileKeys));
  }
  AttentionPart total(int i) const {
    return {w_.total_out + i * value_width_, w_.total_max + i, w_.total_sum + i};
  }

  /// Offset of state row i in a tensor [T, Hq, width].
  int64_t offset(const TensorView& t, int i) const {
    const int64_t query = item_.sequence.first_query + (item_.first_row + i % rows_) / group_;
    return query * t.stride(0) + query_head(i) * t.stride(1);
  }

  void pack_queries() {
    const auto pack = [&]<class Q>(Q) {
      for (int i = 0; i < state_rows_; i++) {
        pack_query<Units>(p_.q.as<Q>() + offset(p_.q, i), key_width_,
                          w_.queries + i * (key_width_ / Units::kPerUnit));
      }
    };
    if constexpr (Units::kPerUnit == 2) {
      pack(bf16_t{});
    } else {
      dispatch_float(p_.q.dtype, pack);
    }
  }

  /// All tiles. The sums are then in the totals, those of a single span still in the span.
  void add_keys(bool exactly) {
    clear_total();
    clear_span();
    const int64_t first = std::max(item_.first_key, w_.begin[0]),
                  last = std::min(item_.last_key, w_.end[rows_ - 1]);
    if (first >= last) return;  // no row sees a key
    const AttentionSequence& s = item_.sequence;
    TileRows<T> tiles[2];
    int64_t tile = views_.next_tile(first / kTileKeys * kTileKeys, last);
    if (!p_.rotated) find_rows(p_, s, item_.first_head, tile, first, last, tiles[0]);
    for (int i = 0; tile < last; i ^= 1) {
      const int64_t next = views_.next_tile(tile + kTileKeys, last);
      if (!decode_tile(tile, first, last, tiles[i], tiles[i ^ 1]))
        find_rows(p_, s, item_.first_head, next, first, last, tiles[i ^ 1]);
      const int columns = columns_of(last - tile);
      rows_ <= kDirectRows && !exactly ? add_tile_direct(tile, columns, tiles[i], tiles[i ^ 1])
                                       : add_tile_packed(tile, columns, tiles[i], tiles[i ^ 1], exactly);
      if (!item_.partial && (next >= last || next / kSpanKeys != tile / kSpanKeys)) close_span();
      tile = next;
    }
  }

  /// Of latents as codes the rows of this tile, which nobody fetches ahead; false: there are none.
  bool decode_tile(int64_t tile, int64_t first, int64_t last, TileRows<T>& now, TileRows<T>& next) {
    if constexpr (!kIsCode<T>) {
      if (!p_.rotated) return false;
      decode_latents(p_, item_.sequence, tile, first, last, reinterpret_cast<T*>(w_.latents), now);
      next = {};
      return true;
    } else {
      return false;
    }
  }

  /// Leaves the sums where they belong; false: some are not finite.
  bool store_sums() const {
    if (item_.partial) return save_span();
    bool are_finite = false;
    dispatch_float(p_.out.dtype, [&]<class O>(O) { are_finite = finish<O>(); });
    return are_finite;
  }

  void clear_total() {
    std::fill_n(w_.total_out, state_rows_ * value_width_, 0.0f);
    std::fill_n(w_.total_sum, state_rows_, 0.0f);
    std::fill_n(w_.total_max, state_rows_, -kInf);
  }

  void clear_span() {
    std::fill_n(w_.out, state_rows_ * value_width_, 0.0f);
    std::fill_n(w_.sum, state_rows_ * kLanes, 0.0f);
    std::fill_n(w_.max, state_rows_, -kInf);
  }

  FetchAhead<T> ahead(const T* const* rows, int64_t begin, int64_t end, int64_t width) const {
    return {rows + begin, rows + end, item_.num_heads * width * static_cast<int64_t>(sizeof(T))};
  }
  /// The values of a tile; of latents they are there as soon as the keys are.
  FetchAhead<T> values_ahead(const TileRows<T>& tile, int64_t begin, int64_t end) const {
    return p_.latent ? FetchAhead<T>{nullptr, nullptr, 0} : ahead(tile.values, begin, end, value_width_);
  }
  /// What to fetch while the keys from `j` of a tile are multiplied, and while its values are. Of latents
  /// that is half of a tile each.
  FetchAhead<T> during_keys(const TileRows<T>& now, int columns, int j) const {
    const auto of_tile = [](int row) { return std::min(row, kTileKeys); };
    if (p_.latent) {
      return ahead(now.keys, of_tile(kTileKeys / 2 + j), of_tile(kTileKeys / 2 + j + kLanes), key_width_);
    }
    return j + kLanes < columns ? ahead(now.keys, j + kLanes, j + 2 * kLanes, key_width_)
                                : values_ahead(now, 0, kLanes);
  }
  FetchAhead<T> during_values(const TileRows<T>& now, const TileRows<T>& next, int columns, int j) const {
    if (p_.latent) return ahead(next.keys, j / 2, j / 2 + kLanes / 2, key_width_);
    return j + kLanes < columns ? values_ahead(now, j + kLanes, j + 2 * kLanes)
                                : ahead(next.keys, 0, kLanes, key_width_);
  }

  /// The next kLanes keys or values of a tile, of the head at `offset`.
  FetchAhead<T> of_head(const T* const* rows, int from, int columns, int64_t offset, int64_t width) const {
    const int to = std::min(from + kLanes, columns);
    return {rows + std::min(from, to), rows + to, width * static_cast<int64_t>(sizeof(T)), offset};
  }

  /// Adds a tile to all rows of all heads, walking through memory in blocks of kLanes tokens. Each block
  /// fetches the one that follows: 32 KB ahead for 8 heads of 128 bf16.
  void add_tile_direct(int64_t tile, int columns, const TileRows<T>& now, const TileRows<T>& next) {
    const int64_t units = key_width_ / Units::kPerUnit;
    bool seen[kItemRows];  // by rows of a head
    bool together = true;  // by all heads: a token's keys are read as one piece, else head by head
    for (int h = 0; h < item_.num_heads; h++) together &= seen[h] = views_.some_see(tile, 0, rows_, h);
    for (int j = 0; j < columns; j += kLanes) {
      FetchAhead<T> following = during_keys(now, columns, j);
      for (int h = 0; h < item_.num_heads; h++) {
        if (!seen[h]) continue;
        FetchAhead<T> own = of_head(now.keys, j + kLanes, columns, h * p_.k.stride(2), key_width_);
        score_keys<Units>(rows_, now.keys + j, h * p_.k.stride(2), units, w_.queries + h * rows_ * units,
                          together ? following : own, w_.scores + h * rows_ * kTileKeys + j);
      }
    }
    for (int h = 0; h < item_.num_heads; h++) {
      if (!seen[h]) continue;
      take_scales(now, columns, h, w_.key_scales, w_.value_scales);
      weigh(tile, columns, 0, rows_, h);
    }
    for (int j = 0; j < columns; j += kLanes) {
      FetchAhead<T> following = during_values(now, next, columns, j);
      for (int h = 0; h < item_.num_heads; h++) {
        if (!seen[h]) continue;
        FetchAhead<T> own = of_head(now.values, j + kLanes, columns, h * p_.v.stride(2), value_width_);
        const int i = h * rows_;
        add_values<Units>(rows_, now.values + j, h * p_.v.stride(2), kLanes,
                          w_.weights + (i * kTileKeys + j) / Units::kPerUnit, j == 0 ? w_.decay + i : nullptr,
                          together ? following : own, w_.out + i * value_width_, value_width_);
      }
    }
  }

  /// Adds a tile head by head: packs it, fetching this head's share of the next tile, then walks over groups
  /// of rows.
  void add_tile_packed(int64_t tile, int columns, const TileRows<T>& now, const TileRows<T>& next,
                       bool exactly) {
    const int64_t units = key_width_ / Units::kPerUnit;
    for (int h = 0; h < item_.num_heads; h++) {
      if (!views_.some_see(tile, 0, rows_, h)) continue;
      const int64_t from = kTileKeys * h / item_.num_heads, to = kTileKeys * (h + 1) / item_.num_heads;
      pack_keys<Units>(now.keys, h * p_.k.stride(2), key_width_, columns,
                       ahead(next.keys, from, to, key_width_), w_.keys);
      pack_values<Units>(now.values, h * p_.v.stride(2), value_width_, columns, values_ahead(next, from, to),
                         w_.values);
      take_scales(now, columns, h, w_.key_scales, w_.value_scales);
      for (int r = 0; r < rows_; r += kPackedRows) {
        const int rows = std::min(kPackedRows, rows_ - r), i = h * rows_ + r;
        const int64_t last = w_.end[r + rows - 1];
        if (last <= tile || w_.begin[r] >= tile + kTileKeys) continue;
        if (!views_.some_see(tile, r, rows, h)) continue;
        const int seen = columns_of(last - tile);  // columns beyond are left out
        multiply<Units>(rows, w_.queries + i * units, units, w_.keys, kTileKeys, units, nullptr,
                        w_.scores + i * kTileKeys, kTileKeys, seen);
        weigh(tile, seen, r, rows, h);
        exactly ? multiply_seen_values(tile, seen, r, rows, h, now) : multiply_values(seen, rows, i);
      }
    }
  }

  /// O += P V of the state rows [i, i + rows), with the packed tile.
  void multiply_values(int columns, int rows, int i) {
    multiply<Units>(rows, w_.weights + i * kTileKeys / Units::kPerUnit, kTileKeys / Units::kPerUnit,
                    w_.values, value_width_, columns / Units::kPerUnit, w_.decay + i,
                    w_.out + i * value_width_, value_width_, value_width_);
  }

  /// The same for the rows [r, r + rows) of head h: packs, for the rows of each query, what they see.
  void multiply_seen_values(int64_t tile, int columns, int r, int rows, int h, const TileRows<T>& now) {
    static constexpr T kZeros[kMaxHeadWidth] = {};
    for (const int end = r + rows; r < end;) {
      const Visible visible = views_.of_tile(tile, r, h);
      int count = 1;
      while (r + count < end && views_.of_tile(tile, r + count, h) == visible) count++;
      const T* seen[kTileKeys];
      for (int j = 0; j < columns; j++)
        seen[j] = visible.sees(j) ? now.values[j] + h * p_.v.stride(2) : kZeros;
      pack_values<Units>(seen, 0, value_width_, columns, FetchAhead<T>{nullptr, nullptr, 0}, w_.values);
      multiply_values(columns, count, h * rows_ + r);
      r += count;
    }
  }

  /// Turns the scores of the rows [r, r + rows) of head h into weights.
  void weigh(int64_t tile, int columns, int r, int rows, int h) {
    const int i = h * rows_ + r;
    Visible visible[kGroupRows];
    for (int g = 0; g < rows; g++) visible[g] = views_.of_tile(tile, r + g, h);
    float* scores = w_.scores + i * kTileKeys;
    if constexpr (kIsCode<T>) scale_scores(rows, columns, scores);
    if (p_.softcap > 0) cap_scores(rows, columns, scores);
    softmax<Units, kIsCode<T>>(rows, columns, visible, (p_.softcap > 0 ? p_.softcap : p_.scale) * kLog2e,
                               scores, w_.value_scales, {w_.max + i, w_.sum + i * kLanes, w_.decay + i},
                               w_.weights + i * kTileKeys / Units::kPerUnit);
  }

  /// Products of codes become those of keys.
  void scale_scores(int rows, int columns, float* scores) const {
    for (int g = 0; g < rows; g++) {
      float* row = scores + g * kTileKeys;
      for (int j = 0; j < columns; j += kLanes) store(row + j, load(row + j) * load(w_.key_scales + j));
    }
  }

  /// Products become scores in units of softcap: softcap tanh(scale x / softcap), without the first factor.
  void cap_scores(int rows, int columns, float* scores) const {
    const float inner = p_.scale / p_.softcap;
    for (int g = 0; g < rows; g++) {
      float* row = scores + g * kTileKeys;
      for (int j = 0; j < columns; j += kLanes) store(row + j, tanh(load(row + j) * inner));
    }
  }

  void close_span() {
    for (int i = 0; i < state_rows_; i++) {
      float sum = reduce_add(load(w_.sum + i * kLanes));
      merge(total(i), {w_.out + i * value_width_, w_.max + i, &sum}, value_width_);
    }
    clear_span();
  }

  bool save_span() const {
    FiniteCheck check;
    for (int i = 0; i < state_rows_; i++) {
      const AttentionPart part = part_at(item_.partial, i, value_width_);
      const float* from = w_.out + i * value_width_;
      for (int64_t d = 0; d < value_width_; d += kLanes) store(part.out + d, check(load(from + d)));
      *part.sum = reduce_add(load(w_.sum + i * kLanes));
      *part.max = w_.max[i];
    }
    return check.passed();
  }

  /// The query head of state row i.
  int64_t query_head(int i) const {
    return (item_.first_head + i / rows_) * group_ + (item_.first_row + i % rows_) % group_;
  }

  template <class O>
  bool finish() const {
    constexpr float kLn2 = 0.693147181f;
    FiniteCheck check;
    for (int i = 0; i < state_rows_; i++) {
      const float kept = p_.sinks ? add_sink(total(i), p_.sinks.as<float>()[query_head(i)] * kLog2e) : 1;
      const float sum = w_.total_sum[i];
      const float factor = sum == 0 ? 0 : kept / sum;
      const float* from = w_.total_out + i * value_width_;
      O* to = p_.out.as<O>() + offset(p_.out, i);
      // + 0: the sign of a zero sum depends on how many masked columns were left out
      for (int64_t d = 0; d < value_width_; d += kLanes) store(to + d, check(load(from + d)) * factor + 0.0f);
      if (p_.lse) {
        p_.lse.as<float>()[offset(p_.lse, i)] = sum == 0 ? -kInf : w_.total_max[i] * kLn2 + std::log(sum);
      }
    }
    return check.passed();
  }

  static constexpr float kLog2e = 1.44269504f;

  const AttentionProblem& p_;
  const AttentionItem& item_;
  AttentionWorkspace& w_;
  const ItemViews views_;
  const int64_t key_width_;    // Dh
  const int64_t value_width_;  // Dv
  const int64_t group_;        // G
  const int rows_;
  const int state_rows_;
};

}  // namespace warploop::cpu::WARPLOOP_ISA
