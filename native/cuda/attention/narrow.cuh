// What:      attention for at most 16 packed rows of a KV head: decoding, and a few tokens to verify
// Steps:     1. take an item: rows of one sequence and head, one span of its keys or all of them
//            2. for each tile of 64 keys: each warp takes 16 of them: S = Q K^T, softmax, O += P V
//            3. at the end of a span: the four warps' sums become one, which is added to the group's; at the
//               end of a group its sums are added to those of the groups before, in global memory
//            4. store the result, or the span's sums; the block that comes last to a split tile merges them
// Mapping:   persistent blocks of 4 warps, warps along the keys: 16 rows fill the smallest tensor-core
//            product, so 2 to 8 tokens cost what one does. Grouped heads are rows, so keys are read once for
//            a group
// Resources: shared memory at Dh 128: Q 4 KiB, ring 2 x 32 KiB: 3 blocks per multiprocessor of an H200, of
//            which each has 32 KiB under way while it computes; registers <= 168 for that
// Cost:      Lk (Dh + Dv) 2 bytes per KV head; memory-bound up to 16 rows
// Numerics:  f32 sums; P rounded to the dtype of v; items.cuh says how spans are merged. Results do not
//            depend on the batch. A mask selects: hidden scores become -inf, and rows that hidden values have
//            spoilt are computed anew (exact.cuh). A NaN that a row sees shows in it
// Limits:    bf16 | f16, one dtype for q, k, v, or bf16 and codes (code_ring.cuh), whose scales are factors
//            of scores and probabilities in f32; rows of q, k, v aligned to 16 bytes
#pragma once
#include "cuda/attention/code_ring.cuh"
#include "cuda/attention/exact.cuh"
#include "cuda/attention/merge.cuh"
#include "cuda/attention/queue.cuh"
#include "cuda/device/predecessors.cuh"

namespace warploop::cuda {

template <class T_, int kDh_, int kDv_, int kStages, int kBlocks_, bool kCodes_ = false>
struct NarrowShape {
  using T = T_;
  static constexpr bool kCodes = kCodes_;  // what keys and values are kept as: codes, or T
  static constexpr int kDh = kDh_, kDv = kDv_, kBlocks = kBlocks_;
  static constexpr int kWarps = 4, kThreads = kWarps * kWarpSize, kKeys = kWarps * 16;
  static constexpr int kTotalsPerBlock = kNarrowRows * kDv / 2;  // float4
  using Ring = std::conditional_t<kCodes, CodeRing<T, kDh, kDv, kKeys, kStages, kThreads>,
                                  KeyRing<T, kDh, kDv, kKeys, kStages, kThreads>>;
  struct Shared {
    alignas(128) T q[kNarrowRows * kDh];
    typename Ring::Storage ring;
    int position[kNarrowRows];            // among the keys
    RowState parts[kWarps][kNarrowRows];  // of the span, by warp
    RowState totals[2][kNarrowRows];      // of the group's spans before it; written while they are read
    ItemQueue::Slot slot;
  };
  // The warps' sums meet in the stage that the last tile of the span has left.
  static_assert(sizeof(typename Ring::Storage::Stage) >= kWarps * kNarrowRows * kDv * sizeof(float));
  static_assert(kSpanUnit % kKeys == 0);
};

/// Turns the signs of q: a negative scale times q k is a positive one times (-q) k.
template <int kElements, int kThreads, class T>
WARPLOOP_DEVICE void negate(T* q) {
  auto* pairs = reinterpret_cast<uint32_t*>(q);
  for (int i = static_cast<int>(threadIdx.x); i < kElements / 2; i += kThreads) pairs[i] ^= 0x80008000u;
  sync_block();
}

/// Whether the block mask leaves a tile of keys, within one block, to the lane's rows, g and g + 8 of 16: a
/// bit each.
WARPLOOP_DEVICE uint32_t rows_that_see(const AttentionProblem& p, const ItemKeys& keys, const int* position,
                                       int tile) {
  if (!p.block_mask) return 3;
  const int g = lane_index() / 4;
  return (sees_block(p, keys, position[g], tile) ? 1u : 0u) |
         (sees_block(p, keys, position[g + 8], tile) ? 2u : 0u);
}
/// Hides what the rows do not see; `position`: of the 16 rows; `see`: rows_that_see().
template <int kColumns8>
WARPLOOP_DEVICE void hide_keys(const AttentionProblem& p, const AttentionItem& item, const int* position,
                               uint32_t see, int first_key, float (&s)[kColumns8][4]) {
  const int g = lane_index() / 4;
  KeyRange upper = visible_keys(p, item.num_keys, position[g]);
  KeyRange lower = visible_keys(p, item.num_keys, position[g + 8]);
  if (!(see & 1)) upper.end = 0;
  if (!(see & 2)) lower.end = 0;
  mask(s, first_key, {upper.begin, lower.begin}, {upper.end, lower.end});
  if (!p.tree_mask) return;
  const int column = first_key + 2 * (lane_index() % 4);
#pragma unroll
  for (int half = 0; half < 2; half++) {
#pragma unroll
    for (int n = 0; n < kColumns8; n += 4) {
      const uint32_t hidden = hidden_keys(p, item, position[g + 8 * half], column + n * 8);
#pragma unroll
      for (int j = 0; j < 2 * std::min(4, kColumns8 - n); j++) {
        if (hidden >> (j / 2 * 8 + j % 2) & 1u) s[n + j / 2][2 * half + j % 2] = -INFINITY;
      }
    }
  }
}

template <class S>
class NarrowTile {
  using T = typename S::T;
  static constexpr int kPairs = S::kDv / 2;                             // of columns, of a row
  static constexpr int kOwnPairs = kNarrowRows * kPairs / S::kThreads;  // of the merged sums, of a thread

 public:
  WARPLOOP_DEVICE NarrowTile(const AttentionProblem& p, const AttentionPlan& plan, int head,
                             typename S::Shared& shared)
      : p_(p),
        plan_(plan),
        item_(shared.slot.item),
        head_(head),
        shared_(shared),
        warp_(warp_index()),
        tid_(threadIdx.x) {}

  WARPLOOP_DEVICE void run() {
    const ItemKeys& keys = shared_.slot.keys;
    typename S::Ring ring(shared_.ring, {p_, item_, keys, head_}, shared_.slot.blocks);
    prepare_rows();
    ring.begin();

    const float unit = positive_score_unit(p_);
    int span = 0, i = -1;
    SpanEnd end{};
    while (!end.final) {  // no keys: one empty span
      ring.advance(++i);
      if (i == 0 && negates(p_)) negate<kNarrowRows * S::kDh, S::kThreads>(shared_.q);
      const int first = ring.tile(i);
      auto& stage = ring.stage(i);
      if (first < keys.last)
        add_tile(stage, first, keys.seen_first > first || keys.seen_last < first + S::kKeys, unit);
      end = span_end<S::kKeys>(p_, item_, keys, shared_.slot.blocks, first, ring.tile(i + 1));
      if (end.span) close_span(reinterpret_cast<float2*>(&stage), span++ % 2, end);
    }
    if (S::kCodes || !any_lane(spoilt_ != 0)) return;  // codes are finite, and hidden scales are left out
    mend(reinterpret_cast<float2*>(&ring.stage(i)), (span - 1) % 2, end);
  }

 private:
  WARPLOOP_DEVICE void prepare_rows() {
    copy_rows<kNarrowRows, S::kDh, S::kThreads>(
        shared_.q, p_.q.template as<T>(), static_cast<int>(p_.q.sizes[2]), [this](int r) {
          return r < item_.num_rows ? row_offset(p_.q, item_, plan_.group, head_, item_.first_row + r) : -1;
        });
    clear(o_);
    clear(state_);
#pragma unroll
    for (int j = 0; j < kOwnPairs; j++) sums_[j] = make_float2(0, 0);
    if (tid_ >= kNarrowRows) return;
    shared_.position[tid_] = position_of(item_, plan_.group, item_.first_row + tid_);
    shared_.totals[0][tid_] = RowState{};
  }

  // 2. this warp's 16 keys of the tile
  WARPLOOP_DEVICE void add_tile(const typename S::Ring::Storage::Stage& stage, int first, bool masked,
                                float unit) {
    float s[1][2][4], decay[2];
    uint32_t weights[1][1][4];
    score<T, S::kDh>(shared_address(shared_.q), 0, 1u, shared_address(stage.keys), warp_ * 16, s);
    const float* factors = nullptr;
    if constexpr (S::kCodes) {
      scale_scores(stage.key_scales + warp_ * 16, s[0]);
      factors = stage.value_scales + warp_ * 16;
    }
    cap_scores(p_, reinterpret_cast<float(&)[8]>(s[0]));
    if (masked) {
      const uint32_t see = rows_that_see(p_, shared_.slot.keys, shared_.position, first);
      hide_keys(p_, item_, shared_.position, see, first + warp_ * 16, s[0]);
    }
    soften<T>(s[0], unit, state_.max[0], state_.sum[0], decay, weights[0], factors);
    rescale(o_[0], decay);
    add_values<T, S::kDv>(weights, 1u, shared_address(stage.values), warp_ * 16, o_);
  }

  // 3. the sums of the span
  WARPLOOP_DEVICE void close_span(float2* exchange, int parity, const SpanEnd& end) {
    const int g = lane_index() / 4, t = lane_index() % 4;
    sync_block();  // all warps have read the last tile
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const float sum = sum_lanes<4>(state_.sum[0][h]);
      if (t == 0) shared_.parts[warp_][g + 8 * h] = {state_.max[0][h], sum};
#pragma unroll
      for (int n = 0; n < S::kDv / 8; n++) {
        exchange[place(warp_, g + 8 * h, n * 4 + t)] = make_float2(o_[0][n][2 * h], o_[0][n][2 * h + 1]);
      }
    }
    clear(o_);
    clear(state_);
    sync_block();
    const bool direct = end.final && !end.earlier_groups;
#pragma unroll
    for (int j = 0; j < kOwnPairs; j++) {
      const int at = tid_ + j * S::kThreads, row = at / kPairs, pair = at % kPairs;
      float2 sums;
      const RowState part = join_warps(exchange, row, pair, sums);
      RowState total = shared_.totals[parity][row];
      const MergeFactors f = merge_states(total, part);
      sums_[j].x = fmaf(sums.x, f.added, sums_[j].x * f.kept);
      sums_[j].y = fmaf(sums.y, f.added, sums_[j].y * f.kept);
      if (pair == 0) shared_.totals[parity ^ 1][row] = total;
      if (direct && row < item_.num_rows) store(j, row, pair, total, sums_[j]);
    }
    if (end.group && !direct) close_group(exchange, shared_.totals[parity ^ 1], end);
  }

  /// The sums of a group that is not the only one. By way of shared memory: no registers for a rare case.
  WARPLOOP_DEVICE void close_group(float2* exchange, RowState* totals, const SpanEnd& end) {
#pragma unroll
    for (int j = 0; j < kOwnPairs; j++) {
      const int at = tid_ + j * S::kThreads;
      exchange[place(0, at / kPairs, at % kPairs)] = sums_[j];  // where this thread alone has read
      sums_[j] = make_float2(0, 0);
    }
    sync_block();  // the totals have been written
#pragma unroll 1
    for (int j = 0; j < kOwnPairs; j++) {
      const int at = tid_ + j * S::kThreads, row = at / kPairs, pair = at % kPairs;
      RowState total = totals[row];
      float2 sums = exchange[place(0, row, pair)];
      if (end.earlier_groups) add_groups(kept(j), total, sums);
      if (!end.final) {
        kept(j) = make_float4(sums.x, sums.y, total.max, total.sum);
      } else if (row < item_.num_rows) {
        store(j, row, pair, total, sums);
      }
    }
    if (end.final) return;
    sync_block();
    if (tid_ < kNarrowRows) totals[tid_] = RowState{};
  }

  /// Where the sums of earlier groups wait: of the columns that this thread owns, with the state of the row.
  WARPLOOP_DEVICE float4& kept(int j) const {
    return plan_.group_totals[blockIdx.x * plan_.totals_per_block[kNarrow] + j * S::kThreads + tid_];
  }
  WARPLOOP_DEVICE static void add_groups(const float4& kept, RowState& total, float2& sums) {
    RowState all{kept.z, kept.w};
    const MergeFactors f = merge_states(all, total);
    sums.x = fmaf(sums.x, f.added, kept.x * f.kept);
    sums.y = fmaf(sums.y, f.added, kept.y * f.kept);
    total = all;
  }

  /// Where the sums of a warp lie: rows four apart share banks, which half a warp does not notice.
  WARPLOOP_DEVICE static int place(int warp, int row, int pair) {
    return (warp * kNarrowRows + row) * kPairs + (pair ^ (row & 3) << 2);
  }

  WARPLOOP_DEVICE RowState join_warps(const float2* exchange, int row, int pair, float2& sums) const {
    float max = -INFINITY;
#pragma unroll
    for (int w = 0; w < S::kWarps; w++) max = fmaxf(max, shared_.parts[w][row].max);
    const float base = max == -INFINITY ? 0.0f : max;
    float sum = 0;
    sums = make_float2(0, 0);
#pragma unroll
    for (int w = 0; w < S::kWarps; w++) {
      const float factor = exp2_fast(shared_.parts[w][row].max - base);
      const float2 x = exchange[place(w, row, pair)];
      sum = fmaf(shared_.parts[w][row].sum, factor, sum);
      sums.x = fmaf(x.x, factor, sums.x);
      sums.y = fmaf(x.y, factor, sums.y);
    }
    return {max, sum};
  }

  // 4. what leaves the block
  WARPLOOP_DEVICE void store(int j, int row, int pair, const RowState& total, float2 sums) {
    if (!is_finite(sums.x + sums.y)) spoilt_ |= 1u << j;
    if (pair == 0) store_state(p_, plan_, item_, head_, row, total);
    if (2 * pair >= static_cast<int>(p_.v.sizes[3])) return;
    if (item_.part >= 0) {
      float* to = pool_row(p_, plan_, item_, head_, row, item_.index);
      *reinterpret_cast<float2*>(to + 2 * pair) = sums;
      return;
    }
    RowState end = total;
    const float factor = finish_sums(p_, plan_, item_, head_, row, end);
    const int64_t at = row_offset(p_.out, item_, plan_.group, head_, item_.first_row + row);
    store_results(p_.out, at + 2 * pair, sums.x * factor, sums.y * factor);
  }

  /// Rows that hidden values have spoilt: each warp looks after the columns that it has stored.
  WARPLOOP_DEVICE void mend(const float2* exchange, int parity, const SpanEnd& end) const {
    static_assert(kPairs % kWarpSize == 0, "the pairs of a warp belong to one row");
#pragma unroll 1
    for (int j = 0; j < kOwnPairs; j++) {
      if (!any_lane(spoilt_ >> j & 1u)) continue;
      const int at = tid_ + j * S::kThreads, row = at / kPairs, pair = at % kPairs;
      float2 sums;
      RowState total = shared_.totals[parity][row];
      merge_states(total, join_warps(exchange, row, pair, sums));
      if (end.earlier_groups) add_groups(kept(j), total, sums);
      if (!is_finite(total.sum)) continue;
      const int begin = 2 * (pair - lane_index()), width = static_cast<int>(p_.v.sizes[3]);
      const ExactRow<T> exact(p_, plan_, item_, shared_.slot.keys, head_, row);
      exact.store_sums(total, begin, std::min(begin + 2 * kWarpSize, width));
    }
  }

  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const AttentionItem& item_;
  const int head_;
  typename S::Shared& shared_;
  const int warp_, tid_;
  float o_[1][S::kDv / 8][4];  // this warp's, of the span
  SoftmaxState<1> state_;      // this warp's, of the span
  float2 sums_[kOwnPairs];     // this thread's columns of the block's, of the group's spans so far
  uint32_t spoilt_ = 0;        // bit j: result j of this thread is not finite
};

template <class S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    attention_narrow(const __grid_constant__ AttentionProblem p, const __grid_constant__ AttentionPlan plan) {
  wait_for_predecessors();
  auto& shared = shared_plan<typename S::Shared>();
  const bool spoilt = load_acquire(plan.spoilt) != 0;
  ItemQueue queue(p, plan, kNarrow, shared.slot);
  for (int head = queue.take(); head >= 0; head = queue.take()) {
    NarrowTile<S>(p, plan, head, shared).run();
    finish_item(p, plan, shared.slot.item, head, shared.slot.is_last);
  }
  if (spoilt) {
    if constexpr (!S::kCodes) {
      for (int kind = kMiddle; kind < kKinds; kind++) mend_rows<typename S::T>(p, plan, kind);
    }
    end_mending(plan);
  }
}

}  // namespace warploop::cuda
