// What:      the sums of rows that hidden values have spoilt, without these: O = sum of p_j v_j over the keys
//            that the row sees
// Why:       tensor cores multiply a tile of probabilities by a tile of values. A value that a row does not
//            see has the probability 0 there, and 0 times NaN or infinity is NaN. Scores of hidden keys are
//            replaced by -inf, so maximum and sum of a row are right whatever lies there; O can be wrong, and
//            then it is not finite. So tiles are neither searched for such values nor cut row by row: each
//            kernel looks at its finished sums, and a row whose O is not finite although the sum of its
//            probabilities is gets O anew. Values that are not finite and that it sees give the same result
//            again; a sum that is not finite comes from a key that the row sees and stays as it is
// Steps:     the narrow kernel and those of latents mend their rows themselves. Those of other tiles have no
//            register left for it: they raise a flag, and the narrow kernel, which follows them, looks for
//            such rows
// Mapping:   a warp per row; 32 keys at a time, one per lane for the scores, then columns 32 apart per lane
// Cost:      finite values: one multiply-add per element of O at the end of an item. A spoilt row: some
//            2 Lk (Dh + Dv) flop without tensor cores
// Numerics:  products, probabilities and sums in f32, the keys in ascending order
#pragma once
#include "cuda/attention/key_ring.cuh"

namespace warploop::cuda {

WARPLOOP_DEVICE bool is_finite(float x) { return x - x == 0; }

template <class T>
WARPLOOP_DEVICE float dot_product(const T* a, const T* b, int width) {
  float dot = 0;
  for (int d = 0; d < width; d++) dot = fmaf(to_float(a[d]), to_float(b[d]), dot);
  return dot;
}

/// Sums over the keys [first, last) of 2^(score_j - base) v_j, for the columns [begin, end), at most 256.
/// key(j), value(j): pointers to the rows of key j; null: it is left out. store(column, sum). A whole warp.
template <class T, class Key, class Value, class Store>
WARPLOOP_DEVICE void sum_seen_values(const AttentionProblem& p, const T* q, int key_width, float base,
                                     int first, int last, int begin, int end, Key key, Value value,
                                     Store store) {
  constexpr int kOwn = 256 / kWarpSize;
  const int lane = lane_index();
  float sums[kOwn] = {};
  for (int at = first; at < last; at += kWarpSize) {
    const int count = last - at < kWarpSize ? last - at : kWarpSize;
    const T* k = lane < count ? key(at + lane) : nullptr;
    const float weight =
        k ? exp2_fast(fmaf(cap_score(p, dot_product(q, k, key_width)), score_unit(p), -base)) : 0.0f;
    for (int j = 0; j < count; j++) {
      const float w = shuffle(weight, j);
      const T* v = value(at + j);
      if (!v) continue;
#pragma unroll
      for (int i = 0; i < kOwn; i++) {
        const int column = begin + lane + i * kWarpSize;
        if (column < end) sums[i] = fmaf(w, to_float(v[column]), sums[i]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kOwn; i++) {
    const int column = begin + lane + i * kWarpSize;
    if (column < end) store(column, sums[i]);
  }
}

/// One row of an item, by a whole warp.
template <class T>
class ExactRow {
 public:
  WARPLOOP_DEVICE ExactRow(const AttentionProblem& p, const AttentionPlan& plan, const AttentionItem& item,
                           const ItemKeys& keys, int head, int row)
      : p_(p), plan_(plan), item_(item), source_{p, item, keys, head}, row_(row) {
    const int packed = item.first_row + row;
    position_ = position_of(item, plan.group, packed);
    const KeyRange seen = visible_keys(p, item.num_keys, position_);
    first_ = std::max(seen.begin, item.first_key), last_ = std::min(seen.end, item.last_key);
    q_ = p.q.as<T>() + row_offset(p.q, item, plan.group, head, packed);
  }

  /// Maximum and sum of the row, from its scores.
  WARPLOOP_DEVICE RowState find_state() const {
    RowState state;
    for (int j = first_ + lane_index(); j < last_; j += kWarpSize) {
      const T* k = key(j);
      if (k) merge_states(state, {cap_score(p_, dot_product(q_, k, key_width())) * score_unit(p_), 1});
    }
    const float max = max_lanes(state.max), base = max == -INFINITY ? 0.0f : max;
    return {max, sum_lanes(state.sum * exp2_fast(state.max - base))};
  }

  /// Writes the columns [begin, end): results, or the span's sums into the pool.
  WARPLOOP_DEVICE void store_sums(const RowState& total, int begin, int end) const {
    const float base = total.max == -INFINITY ? 0.0f : total.max;
    RowState end_state = total;
    const float factor = finish_sums(p_, plan_, item_, source_.head, row_, end_state);
    sync_warp();  // what lies there has been written, or read, by other lanes
    sum_seen_values(
        p_, q_, key_width(), base, first_, last_, begin, end, [this](int j) { return key(j); },
        [this](int j) { return value(j); },
        [&](int column, float sum) {
          if (item_.part >= 0) {
            pool_row(p_, plan_, item_, source_.head, row_, item_.index)[column] = sum;
          } else {
            store_result(p_.out, result_at() + column, sum * factor);
          }
        });
  }

  /// Mends the result that another kernel has stored, if that is necessary.
  WARPLOOP_DEVICE void inspect() const {
    const int width = static_cast<int>(p_.v.sizes[3]);
    bool finite = true;
    for (int d = lane_index(); d < width; d += kWarpSize)
      finite = finite && is_finite(load_float(p_.out, result_at() + d));
    if (all_lanes(finite)) return;
    const RowState total = find_state();
    if (is_finite(total.sum)) store_sums(total, 0, width);
  }

 private:
  WARPLOOP_DEVICE int key_width() const { return static_cast<int>(p_.k.sizes[3]); }
  WARPLOOP_DEVICE bool sees(int j) const {
    return sees_block(p_, source_.keys, position_, j) && !is_hidden(p_, item_, position_, j);
  }
  WARPLOOP_DEVICE const T* key(int j) const {
    const int64_t at = sees(j) ? find_row(source_, j).key : -1;
    return at >= 0 ? p_.k.as<T>() + at : nullptr;
  }
  WARPLOOP_DEVICE const T* value(int j) const {
    const int64_t at = sees(j) ? find_row(source_, j).value : -1;
    return at >= 0 ? p_.v.as<T>() + at : nullptr;
  }
  WARPLOOP_DEVICE int64_t result_at() const {
    return row_offset(p_.out, item_, plan_.group, source_.head, item_.first_row + row_);
  }

  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const AttentionItem& item_;
  const KeySource source_;
  const int row_;
  int position_;      // among the keys
  int first_, last_;  // keys that it may see, of the item
  const T* q_;
};

/// 16 rows of an item whose sums lie in the fragments of a product.
template <class T>
struct ExactBlock {
  const AttentionProblem& p;
  const AttentionPlan& plan;
  const AttentionItem& item;
  const ItemKeys& keys;
  int head, first_row;

  /// Stores the columns [begin, end) of the spoilt ones. `spoilt`: a bit for each of the two rows of a lane;
  /// `total`: their states. A whole warp.
  WARPLOOP_DEVICE void mend(uint32_t spoilt, const RowState (&total)[2], int begin, int end) const {
#pragma unroll 1
    for (int row = 0; row < 16; row++) {
      const int half = row / 8, lane = row % 8 * 4;
      const bool is_spoilt = any_lane(lane_index() / 4 == row % 8 && (spoilt >> half & 1u) != 0);
      const RowState state{shuffle(half == 0 ? total[0].max : total[1].max, lane),
                           shuffle(half == 0 ? total[0].sum : total[1].sum, lane)};
      if (!is_spoilt) continue;
      const ExactRow<T> exact(p, plan, item, keys, head, first_row + row);
      exact.store_sums(state, begin, end);
    }
  }
};

/// The rows of tiles of `kind` that their kernel has spoilt, dealt to all warps of the grid.
template <class T>
WARPLOOP_DEVICE void mend_rows(const AttentionProblem& p, const AttentionPlan& plan, int kind) {
  const int64_t heads = p.k.sizes[2], tile_rows = plan.tile_rows[kind],
                rows = num_items(plan, kind) * heads * tile_rows,
                warps = static_cast<int64_t>(gridDim.x) * blockDim.x / kWarpSize;
  for (int64_t at = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarpSize; at < rows;
       at += warps) {
    AttentionItem item = item_at(p, plan, kind, static_cast<uint32_t>(at / tile_rows / heads));
    const int row = static_cast<int>(at % tile_rows), head = static_cast<int>(at / tile_rows % heads);
    if (row >= item.num_rows || item.index > 0) continue;
    item.part = -1, item.last_key = item.num_keys;  // the spans of a tile have been merged
    const ItemKeys keys = keys_of(p, plan.group, item, head);
    ExactRow<T>(p, plan, item, keys, head, row).inspect();
  }
}

/// The flag was 1 and each block has seen it: the last one to come here takes it back.
WARPLOOP_DEVICE void end_mending(const AttentionPlan& plan) {
  if (threadIdx.x != 0) return;
  if (atomic_add(plan.spoilt, 1u) == gridDim.x) atomic_add(plan.spoilt, 0u - (gridDim.x + 1));
}

}  // namespace warploop::cuda
