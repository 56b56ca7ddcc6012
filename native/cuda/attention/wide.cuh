// What:      attention for tiles of 64 or 128 packed rows of a KV head: prompts and chunks of prompts
// Steps:     1. take an item: a tile of rows of one sequence and head, one span of its keys or all of them
//            2. for each tile of keys: S = Q K^T, softmax in registers, O += P V
//            3. at the end of a span: add its sums to those of the spans before, which wait in global memory
//            4. store the result, or the span's sums; the block that comes last to a split tile merges them
// Mapping:   persistent blocks of 4 warps, warps along the rows: row block r (16 rows) of warp w begins at
//            row 64 r + 16 w, so that few rows still use all warps. Two row blocks per warp (Dh <= 128) read
//            each key fragment once for two products: shared memory would limit the tensor cores otherwise
// Resources: shared memory at Dh 128: Q 32 KiB, ring 2 x 32 KiB; registers <= 255, two blocks per
//            multiprocessor
// Cost:      2 rows Lk (Dh + Dv) flop (half when causal), limited by the tensor cores
// Numerics:  as the narrow kernel's
// Limits:    as the narrow kernel's
// Source:    Dao: FlashAttention-2, arXiv 2307.08691, algorithm 1
#pragma once
#include "cuda/attention/narrow.cuh"
#include "cuda/attention/span_sums.cuh"
#include "cuda/device/predecessors.cuh"

namespace warploop::cuda {

template <class T_, int kDh_, int kDv_, int kRowBlocks_, int kKeys_, int kBlocks_, bool kCodes_ = false>
struct WideShape {
  using T = T_;
  static constexpr bool kCodes = kCodes_;  // as the narrow kernel's
  static constexpr int kDh = kDh_, kDv = kDv_, kRowBlocks = kRowBlocks_, kKeys = kKeys_, kBlocks = kBlocks_;
  static constexpr int kWarps = 4, kThreads = kWarps * kWarpSize, kRows = 16 * kWarps * kRowBlocks;
  using Sums = SpanSums<kDv, kThreads>;
  static constexpr int kTotalsPerBlock = kRowBlocks * Sums::kKept;  // float4
  using Ring = std::conditional_t<kCodes, CodeRing<T, kDh, kDv, kKeys, 2, kThreads>,
                                  KeyRing<T, kDh, kDv, kKeys, 2, kThreads>>;
  struct Shared {
    alignas(128) T q[kRows * kDh];
    typename Ring::Storage ring;
    int position[kRows];  // among the keys
    ItemQueue::Slot slot;
  };
  static_assert(kSpanUnit % kKeys == 0);
  static_assert(kDh > (kCodes ? 64 : 128) || sizeof(Shared) <= 99 << 10, "what sm_86 and sm_89 have");
};

template <class S>
class WideTile {
  using T = typename S::T;

 public:
  WARPLOOP_DEVICE WideTile(const AttentionProblem& p, const AttentionPlan& plan, int head,
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
    bool final = false;
    for (int i = 0; !final; i++) {  // no keys: one empty span
      ring.advance(i);
      if (i == 0 && negates(p_)) negate<S::kRows * S::kDh, S::kThreads>(shared_.q);
      const int first = ring.tile(i);
      if (first < keys.last) {
        add_tile(ring.stage(i), first, keys.seen_first > first || keys.seen_last < first + S::kKeys, unit);
      }
      const int tile = ring.tile(i);  // asked again: a register less beside the products
      const SpanEnd end = span_end<S::kKeys>(p_, item_, keys, shared_.slot.blocks, tile, ring.tile(i + 1));
      if (end.span) close_span(end);
      final = end.final;
    }
  }

 private:
  WARPLOOP_DEVICE int first_row(int block) const { return 64 * block + 16 * warp_; }

  WARPLOOP_DEVICE void prepare_rows() {
    copy_rows<S::kRows, S::kDh, S::kThreads>(
        shared_.q, p_.q.template as<T>(), static_cast<int>(p_.q.sizes[2]), [this](int r) {
          return r < item_.num_rows ? row_offset(p_.q, item_, plan_.group, head_, item_.first_row + r) : -1;
        });
    clear(o_);
    clear(state_);
    for (int r = tid_; r < S::kRows; r += S::kThreads) {
      shared_.position[r] = position_of(item_, plan_.group, item_.first_row + r);
    }
  }

  /// Whether some of the rows see some of the tile of keys.
  WARPLOOP_DEVICE bool sees(int top, int bottom, int first) const {
    return visible_keys(p_, item_.num_keys, shared_.position[bottom]).end > first &&
           visible_keys(p_, item_.num_keys, shared_.position[top]).begin < first + S::kKeys;
  }

  // 2. Row blocks that see nothing of the tile are left out: the state would stay as it is.
  WARPLOOP_DEVICE void add_tile(const typename S::Ring::Storage::Stage& stage, int first, bool masked,
                                float unit) {
    static_assert(S::kKeys <= kBlockKeys);
    uint32_t active = 0, see = 0;  // a bit for each row block; rows_that_see() of each
#pragma unroll
    for (int r = 0; r < S::kRowBlocks; r++) {
      const int top = first_row(r), bottom = std::min(top + 15, item_.num_rows - 1);
      const uint32_t rows = rows_that_see(p_, shared_.slot.keys, shared_.position + top, first);
      const bool some = any_lane(rows != 0);
      if (top < item_.num_rows && some && (!masked || sees(top, bottom, first))) active |= 1u << r;
      see |= rows << 2 * r;
    }
    active = shuffle(active, 0);
    if (active == 0) return;
    float s[S::kRowBlocks][S::kKeys / 8][4];
    uint32_t weights[S::kRowBlocks][S::kKeys / 16][4];
    score<T, S::kDh>(shared_address(shared_.q), first_row(0), active, shared_address(stage.keys), 0, s);
#pragma unroll
    for (int r = 0; r < S::kRowBlocks; r++) {
      if (!(active >> r & 1)) continue;
      float decay[2];
      const float* factors = nullptr;
      if constexpr (S::kCodes) {
        scale_scores(stage.key_scales, s[r]);
        factors = stage.value_scales;
      }
      cap_scores(p_, reinterpret_cast<float(&)[S::kKeys / 2]>(s[r]));
      if (masked) hide_keys(p_, item_, shared_.position + first_row(r), see >> 2 * r, first, s[r]);
      soften<T>(s[r], unit, state_.max[r], state_.sum[r], decay, weights[r], factors);
      rescale(o_[r], decay);
    }
    add_values<T, S::kDv>(weights, active, shared_address(stage.values), 0, o_);
  }

  // 3. and 4.
  WARPLOOP_DEVICE void close_span(const SpanEnd& end) {
    const int kept = static_cast<int>(blockIdx.x * plan_.totals_per_block[kWide]) + tid_;
#pragma unroll
    for (int r = 0; r < S::kRowBlocks; r++) {
      RowState total[2];
#pragma unroll
      for (int h = 0; h < 2; h++) total[h] = {state_.max[r][h], sum_lanes<4>(state_.sum[r][h])};
      const typename S::Sums sums(p_, plan_, item_, head_, first_row(r), kept + r * S::Sums::kKept);
      if (sums.close(total, o_[r], end) != 0) atomic_max(plan_.spoilt, 1u);
    }
    clear(o_);
    clear(state_);
  }

  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const AttentionItem& item_;
  const int head_;
  typename S::Shared& shared_;
  const int warp_, tid_;
  float o_[S::kRowBlocks][S::kDv / 8][4];  // of the span
  SoftmaxState<S::kRowBlocks> state_;      // of the span
};

template <class S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    attention_wide(const __grid_constant__ AttentionProblem p, const __grid_constant__ AttentionPlan plan) {
  wait_for_predecessors();
  auto& shared = shared_plan<typename S::Shared>();
  ItemQueue queue(p, plan, kWide, shared.slot);
  for (int head = queue.take(); head >= 0; head = queue.take()) {
    WideTile<S>(p, plan, head, shared).run();
    finish_item(p, plan, shared.slot.item, head, shared.slot.is_last);
  }
}

}  // namespace warploop::cuda
