// What:      attention for what the tensor-core kernels do not take: f32, mixed dtypes, heads wider than 256
//            (of codes: 128), latents as codes, rows that are not aligned to 16 bytes
// Steps:     1. take an item: 16 rows of one sequence and head, one span of its keys or all of them
//            2. for each tile of 16 keys: S = Q K^T, softmax, O = decay O + P V, all operands as f32 in
//               shared memory; codes become values there
//            3. at the end of a span: add its sums to those of the group's spans before; at the end of a
//               group: to those of the groups before, which wait in global memory
//            4. store the result, or the span's sums; the block that comes last to a split tile merges them
// Mapping:   persistent blocks of 128 threads; 8 lanes per row and two keys per lane for S and the softmax,
//            four rows of a column per thread for O
// Resources: shared memory 74 KiB, O and the sums of earlier spans in 128 registers
// Cost:      2 rows Lk (Dh + Dv) flop without tensor cores, limited by shared memory; simple rather than fast
// Chosen:    with indices an item's keys are the columns of its query, which has tiles of its own: the row of
//            a tile of keys is that of the token in its column, none where that is -1
// Numerics:  products and sums in f32 throughout. Results do not depend on the batch. A mask selects: hidden
//            scores become -inf, and in tiles that not all rows see whole a row adds only what it sees
#pragma once
#include "core/attention_limits.h"
#include "core/kv_codes.h"
#include "cuda/attention/key_ring.cuh"
#include "cuda/attention/merge.cuh"
#include "cuda/attention/queue.cuh"
#include "cuda/attention/sequences.cuh"
#include "cuda/device/predecessors.cuh"

namespace warploop::cuda {

inline constexpr int kAnyThreads = 128;
inline constexpr int kAnyKeys = 16;
inline constexpr int kAnyWidth =
    static_cast<int>(kMaxLatentWidth) + 4;  // rows of neighbours lie in different banks
inline constexpr int kRowLanes = kAnyThreads / kNarrowRows;
inline constexpr int kRowGroups = kNarrowRows / 4;

/// Where what is beside the codes of a latent lies: offsets of its scales and of its rotated columns.
struct LatentRow {
  int64_t scales, rotated;
};

struct AnyShared {
  alignas(16) float q[kNarrowRows][kAnyWidth];
  alignas(16) float keys[kAnyKeys][kAnyWidth];  // then the values of the same tokens, unless they are there
  alignas(16) float weights[kAnyKeys][kNarrowRows];
  alignas(16) float kept[kNarrowRows], added[kNarrowRows];  // factors of the sums
  CodeRow rows[kAnyKeys];                                   // floats have the scale 1
  LatentRow latents[kAnyKeys];                              // of codes
  ItemQueue::Slot slot;
};

class AnyTile {
 public:
  static constexpr int kGroups =
      kRowGroups * static_cast<int>(kMaxHeadWidth) / kAnyThreads;  // of 4 rows, of a thread

  static constexpr int kTotalsPerBlock = kGroups * kAnyThreads;  // float4

  WARPLOOP_DEVICE AnyTile(const AttentionProblem& p, const AttentionPlan& plan, int head, AnyShared& shared)
      : p_(p),
        plan_(plan),
        item_(shared.slot.item),
        head_(head),
        shared_(shared),
        tid_(static_cast<int>(threadIdx.x)),
        row_(tid_ / kRowLanes),
        key_width_(static_cast<int>(p.q.sizes[2])),
        value_width_(static_cast<int>(p.v.sizes[3])) {}

  WARPLOOP_DEVICE void run() {
    const ItemKeys& keys = shared_.slot.keys;
    const SeenBlocks& blocks = shared_.slot.blocks;
    const KeySource source{p_, item_, keys, head_};
    position_ = position_of(item_, plan_.group, item_.first_row + row_);
    if (p_.indices) read_query(p_, item_.first_query, token_end_);
    load_queries();
    clear_sums(o_);
    clear_sums(total_o_);
    bool final = false;
    for (int tile = first_tile<kAnyKeys>(p_, keys, blocks); !final;) {  // no keys: one empty span
      if (tile < keys.last) add_tile(source, tile);
      const int next = next_tile<kAnyKeys>(p_, keys, blocks, tile + kAnyKeys);
      const SpanEnd end = span_end<kAnyKeys>(p_, item_, keys, blocks, tile, next);
      if (end.span) close_span(end);
      tile = next, final = end.final;
    }
  }

 private:
  using Sums = float[kGroups][4];

  WARPLOOP_DEVICE static void clear_sums(Sums& sums) {
#pragma unroll
    for (int i = 0; i < kGroups; i++) sums[i][0] = sums[i][1] = sums[i][2] = sums[i][3] = 0;
  }

  /// body(i, row group, column) for the columns of O that this thread owns.
  template <class Body>
  WARPLOOP_DEVICE void for_each_group(Body body) const {
#pragma unroll
    for (int i = 0; i < kGroups; i++) {
      const int at = tid_ + i * kAnyThreads;
      if (at < kRowGroups * value_width_) body(i, at / value_width_, at % value_width_);
    }
  }

  WARPLOOP_DEVICE void load_queries() {
    for (int r = 0; r < kNarrowRows; r++) {
      const bool valid = r < item_.num_rows;
      const int64_t at = valid ? row_offset(p_.q, item_, plan_.group, head_, item_.first_row + r) : 0;
      for (int d = tid_; d < key_width_; d += kAnyThreads)
        shared_.q[r][d] = valid ? load_float(p_.q, at + d) : 0.0f;
    }
  }

  template <class Offset, class Scale>
  WARPLOOP_DEVICE void load_tile(const TensorView& from, int width, Offset offset, Scale scale) {
    for (int r = 0; r < kAnyKeys; r++) {
      const int64_t at = offset(shared_.rows[r].row);
      const float factor = scale(shared_.rows[r]);
      for (int d = tid_; d < width; d += kAnyThreads)
        shared_.keys[r][d] = at >= 0 ? load_float(from, at + d) * factor : 0.0f;
    }
  }

  /// The same of latents as codes.
  WARPLOOP_DEVICE void load_latents() {
    const auto* scales = p_.k_scales.as<float>();
    for (int r = 0; r < kAnyKeys; r++) {
      const int64_t codes = shared_.rows[r].row.key;
      const LatentRow beside = shared_.latents[r];
      for (int d = tid_; d < key_width_; d += kAnyThreads) {
        float x = 0;
        if (codes >= 0) {
          x = d < value_width_ ? load_float(p_.k, codes + d) * scales[beside.scales + d / kLatentGroup]
                               : load_float(p_.rotated, beside.rotated + d - value_width_);
        }
        shared_.keys[r][d] = x;
      }
    }
  }

  /// Where key `at` of the item lies.
  WARPLOOP_DEVICE KeyPlace find_key(const KeySource& source, int at) const {
    if (!p_.indices) return find_place(source, at);
    const int token = verified_token(source, stored_token(source, at), token_end_);
    return token < 0 ? KeyPlace{-1, 0} : place_of(source, token);
  }
  WARPLOOP_DEVICE CodeRow row_of(const KeySource& source, const KeyPlace& place) const {
    if (p_.v_scales) return code_row_at(source, place);
    return {row_at(source, place), 1, 1};
  }
  WARPLOOP_DEVICE LatentRow latent_at(const KeyPlace& place) const {
    const auto row = [&](const TensorView& t) { return place.page * t.strides[0] + place.at * t.strides[1]; };
    return {row(p_.k_scales), row(p_.rotated)};
  }

  // 2.
  WARPLOOP_DEVICE void add_tile(const KeySource& source, int tile) {
    sync_block();           // the values of the tile before have been read
    if (tid_ < kAnyKeys) {  // in two statements, as in key_ring.cuh
      const KeyPlace place = find_key(source, tile + tid_);
      const CodeRow row = row_of(source, place);
      shared_.rows[tid_] = row;
      if (p_.rotated) {
        const LatentRow beside = latent_at(place);
        shared_.latents[tid_] = beside;
      }
    }
    sync_block();
    if (p_.rotated) {
      load_latents();
    } else {
      load_tile(
          p_.k, key_width_, [](const KeyRow& row) { return row.key; },
          [](const CodeRow& row) { return row.key_scale; });
    }
    sync_block();
    weigh(tile);
    sync_block();
    if (!p_.latent) {
      load_tile(
          p_.v, value_width_, [](const KeyRow& row) { return row.value; },
          [](const CodeRow& row) { return row.value_scale; });
      sync_block();
    }
    const ItemKeys& keys = shared_.slot.keys;
    const bool alike = keys.seen_first <= std::max(tile, keys.first) &&
                       keys.seen_last >= std::min(tile + kAnyKeys, keys.last);  // all rows see the same
    for_each_group([&](int i, int group, int column) {
      const float4 decay = *reinterpret_cast<const float4*>(&shared_.kept[group * 4]);
      float sums[4] = {o_[i][0] * decay.x, o_[i][1] * decay.y, o_[i][2] * decay.z, o_[i][3] * decay.w};
      alike ? add_values(group, column, sums) : add_seen_values(tile, group, column, sums);
#pragma unroll
      for (int r = 0; r < 4; r++) o_[i][r] = sums[r];
    });
  }

  WARPLOOP_DEVICE void add_values(int group, int column, float (&sums)[4]) const {
    for (int key = 0; key < kAnyKeys; key++) {
      const float4 weight = *reinterpret_cast<const float4*>(&shared_.weights[key][group * 4]);
      const float value = shared_.keys[key][column];
      sums[0] = fmaf(weight.x, value, sums[0]);
      sums[1] = fmaf(weight.y, value, sums[1]);
      sums[2] = fmaf(weight.z, value, sums[2]);
      sums[3] = fmaf(weight.w, value, sums[3]);
    }
  }

  /// The same without what a row does not see: 0 times NaN or infinity is NaN.
  WARPLOOP_DEVICE void add_seen_values(int tile, int group, int column, float (&sums)[4]) const {
#pragma unroll
    for (int r = 0; r < 4; r++) {
      const int row = group * 4 + r, position = position_of(item_, plan_.group, item_.first_row + row);
      const KeyRange seen = seen_keys<kAnyKeys>(p_, item_, shared_.slot.keys, position, tile);
      const int end = std::min(seen.end - tile, int{kAnyKeys});
      for (int key = std::max(seen.begin - tile, 0); key < end; key++) {
        if (!is_hidden(p_, item_, position, tile + key))
          sums[r] = fmaf(shared_.weights[key][row], shared_.keys[key][column], sums[r]);
      }
    }
  }

  WARPLOOP_DEVICE float score(int key) const {
    float4 sum = make_float4(0, 0, 0, 0);
    for (int d = 0; d < key_width_; d += 4) {
      const float4 a = *reinterpret_cast<const float4*>(&shared_.q[row_][d]);
      const float4 b = *reinterpret_cast<const float4*>(&shared_.keys[key][d]);
      sum.x = fmaf(a.x, b.x, sum.x);
      sum.y = fmaf(a.y, b.y, sum.y);
      sum.z = fmaf(a.z, b.z, sum.z);
      sum.w = fmaf(a.w, b.w, sum.w);
    }
    return (sum.x + sum.y) + (sum.z + sum.w);
  }

  /// Scores and probabilities of this lane's keys of its row.
  WARPLOOP_DEVICE void weigh(int tile) {
    constexpr int kOwn = kAnyKeys / kRowLanes;
    const float unit = score_unit(p_);
    const KeyRange seen = seen_keys<kAnyKeys>(p_, item_, shared_.slot.keys, position_, tile);
    float scores[kOwn], highest = -INFINITY;
#pragma unroll
    for (int j = 0; j < kOwn; j++) {
      const int key = tid_ % kRowLanes + j * kRowLanes, token = tile + key;
      scores[j] = cap_score(p_, score(key)) * unit;
      const bool is_none = p_.indices && shared_.rows[key].row.key < 0;
      const bool hidden =
          token < seen.begin || token >= seen.end || is_none || is_hidden(p_, item_, position_, token);
      if (hidden) scores[j] = -INFINITY;
      highest = fmaxf(highest, scores[j]);
    }
    const float after = fmaxf(state_.max, max_lanes<kRowLanes>(highest));
    const float base = after == -INFINITY ? 0.0f : after;
    const float decay = exp2_fast(state_.max - base);
    float sum = 0;
#pragma unroll
    for (int j = 0; j < kOwn; j++) {
      const float weight = exp2_fast(scores[j] - base);
      shared_.weights[tid_ % kRowLanes + j * kRowLanes][row_] = weight;
      sum += weight;
    }
    state_ = {after, fmaf(state_.sum, decay, sum_lanes<kRowLanes>(sum))};
    if (tid_ % kRowLanes == 0) shared_.kept[row_] = decay;
  }

  // 3.
  WARPLOOP_DEVICE void close_span(const SpanEnd& end) {
    share(merge_states(total_, state_));
    for_each_group([&](int i, int group, int) {
#pragma unroll
      for (int r = 0; r < 4; r++) {
        const int row = group * 4 + r;
        total_o_[i][r] = fmaf(o_[i][r], shared_.added[row], total_o_[i][r] * shared_.kept[row]);
      }
    });
    clear_sums(o_);
    state_ = RowState{};
    if (!end.group) return;
    if (end.earlier_groups) add_groups();
    end.final ? store() : keep_group();
  }

  /// Hands the factors of a row to all threads.
  WARPLOOP_DEVICE void share(const MergeFactors& f) {
    sync_block();  // those before have been read
    if (tid_ % kRowLanes == 0) shared_.kept[row_] = f.kept, shared_.added[row_] = f.added;
    sync_block();
  }

  /// Where the sums of earlier groups wait, those of this thread's columns.
  WARPLOOP_DEVICE float4& kept(int i) const {
    return plan_.group_totals[blockIdx.x * plan_.totals_per_block[kNarrow] + i * kAnyThreads + tid_];
  }
  WARPLOOP_DEVICE void keep_group() {
    for_each_group([&](int i, int, int) {
      kept(i) = make_float4(total_o_[i][0], total_o_[i][1], total_o_[i][2], total_o_[i][3]);
    });
    clear_sums(total_o_);
    groups_ = total_;
    total_ = RowState{};
  }
  WARPLOOP_DEVICE void add_groups() {
    share(merge_states(groups_, total_));
    total_ = groups_;
    for_each_group([&](int i, int group, int) {
      const float4 earlier = kept(i);
      const float sums[4] = {earlier.x, earlier.y, earlier.z, earlier.w};
#pragma unroll
      for (int r = 0; r < 4; r++) {
        const int row = group * 4 + r;
        total_o_[i][r] = fmaf(total_o_[i][r], shared_.added[row], sums[r] * shared_.kept[row]);
      }
    });
  }

  // 4.
  WARPLOOP_DEVICE void store() {
    const bool direct = item_.part < 0;
    if (tid_ % kRowLanes == 0 && row_ < item_.num_rows) store_state(p_, plan_, item_, head_, row_, total_);
    share({direct ? finish_sums(p_, plan_, item_, head_, row_, total_) : 1.0f, 0});
    for_each_group([&](int i, int group, int column) {
#pragma unroll
      for (int r = 0; r < 4; r++) {
        const int row = group * 4 + r;
        if (row >= item_.num_rows) continue;
        if (direct) {
          store_result(p_.out, row_offset(p_.out, item_, plan_.group, head_, item_.first_row + row) + column,
                       total_o_[i][r] * shared_.kept[row]);
        } else {
          pool_row(p_, plan_, item_, head_, row, item_.index)[column] = total_o_[i][r];
        }
      }
    });
  }

  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const AttentionItem& item_;
  const int head_;
  AnyShared& shared_;
  const int tid_, row_;  // row_: that this lane weighs
  const int key_width_, value_width_;
  int position_;            // of the row among the keys
  int token_end_ = 0;       // of chosen tokens: those that the query could see
  RowState state_, total_;  // of the span; of the group's spans so far
  RowState groups_;         // of the groups before
  Sums o_, total_o_;        // the same for this thread's columns
};

static __global__ void __launch_bounds__(kAnyThreads, 2)
    attention_any_kernel(const __grid_constant__ AttentionProblem p,
                         const __grid_constant__ AttentionPlan plan) {
  wait_for_predecessors();
  auto& shared = shared_plan<AnyShared>();
  ItemQueue queue(p, plan, kNarrow, shared.slot);
  for (int head = queue.take(); head >= 0; head = queue.take()) {
    AnyTile(p, plan, head, shared).run();
    finish_item(p, plan, shared.slot.item, head, shared.slot.is_last);
  }
}

}  // namespace warploop::cuda
