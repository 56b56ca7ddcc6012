// What:      attention for tiles of many packed rows of a KV head with wgmma and TMA, on a Hopper GPU: wide
//            ones of 128 rows for prompts and chunks of prompts, middle ones of 64 for drafts to be verified
// Steps:     1. one warp takes items: a tile of rows of one sequence and head, one span of its keys or all
//            2. one warp each loads queries, keys and values (hopper_copies.cuh), keys and values through two
//               stages, ahead of the consumers, also into the next item
//            3. consumers, tile of keys after tile: S = Q K^T of the next tile is issued, then O += P V of
//               this one; while that runs, the softmax of S; then O is rescaled and S becomes P, in registers
//            4. at the end of a span: its sums are added to those of the spans before, and after the last one
//               leave the block (span_sums.cuh); the block that comes last to a split tile merges them
// Mapping:   persistent blocks of one producer warpgroup and a consumer for each 64 rows. The two of a wide
//            tile take turns on the tensor cores: one multiplies while the other takes exponentials; of its
//            last tile a sequence may need one. Middle tiles have one consumer and, up to Dv 128, two
//            blocks on a multiprocessor, which overlap in the same way
// Resources: shared memory of a wide tile at Dh 128 160 KiB: Q 32, K and V 2 x 32 each; registers 56 for the
//            producer and 224 for a consumer (O 64, S 64, P 32 at Dh = Dv = 128); one block per
//            multiprocessor. Of a middle one 80 KiB, with tiles of 64 keys, so that there is room for two
//            blocks; registers 56 and 200. At Dv 256 the product with V takes more registers than the 128
//            that a thread of two blocks starts with: one block, 160 KiB, 64 keys
// Cost:      2 rows Lk (Dh + Dv) flop (half when causal), limited by the tensor cores; an exponential takes
//            about as long as 512 flop, which is why they must overlap
// Numerics:  as the wide kernel's: f32 sums, P rounded to the dtype of v, masks that select, spans merged in
//            ascending order; rows that hidden values have spoilt are mended by the narrow kernel (exact.cuh)
// Limits:    bf16 | f16, one dtype for q, k, v; rows of q, k, v aligned to 16 bytes
// Source:    Shah et al.: FlashAttention-3, arXiv 2407.08608, sections 3.1 and 3.2
#pragma once
#include <climits>

#include "cuda/attention/hopper_copies.cuh"
#include "cuda/attention/hopper_scores.cuh"
#include "cuda/attention/merge.cuh"
#include "cuda/attention/span_sums.cuh"
#include "cuda/device/predecessors.cuh"
#include "cuda/device/roles.cuh"
#include "cuda/device/wgmma.cuh"

namespace warploop::cuda {

inline constexpr int kWarpgroupRows = 64;  // of one wgmma

template <class T_, int kDh_, int kDv_, int kKeys_, int kConsumers_>
struct HopperShape {
  using T = T_;
  static constexpr int kDh = kDh_, kDv = kDv_, kKeys = kKeys_, kConsumers = kConsumers_;
  static constexpr int kKind = kConsumers == 1 ? kMiddle : kWide;
  static constexpr int kBlocks = kKind == kMiddle && kDv <= 128 ? 2 : 1;
  static constexpr int kRows = kWarpgroupRows * kConsumers, kThreads = kWarpgroup * (kConsumers + 1);
  static constexpr RoleRegisters kRegisters = kKind == kWide ? RoleRegisters{56, 224}
                                              : kBlocks == 2 ? RoleRegisters{56, 200}
                                                             : RoleRegisters{};
  static_assert(kBlocks * kWarpgroup * (kRegisters.producer + kConsumers * kRegisters.consumer) <= 65536);
  using Sums = SpanSums<kDv, kWarpgroup * kConsumers>;
  static constexpr int kTotalsPerBlock = Sums::kKept;  // float4
  static_assert(kSpanUnit % kKeys == 0);

  struct Shared {
    alignas(1024) T q[kRows * kDh];
    T k[kHopperStages][kKeys * kDh];
    T v[kHopperStages][kKeys * kDv];
    Mbarrier q_full, q_empty;
    Mbarrier k_full[kHopperStages], k_empty[kHopperStages], v_full[kHopperStages], v_empty[kHopperStages];
    bool is_last;    // finish_item's
    Mbarrier v_cut;  // values have landed of which some rows are still to be zeroed
    ItemRing items;
  };
  static_assert(kBlocks * (sizeof(Shared) + 1024) <= 228 << 10, "what a multiprocessor has");

  WARPLOOP_DEVICE static void init_barriers(Shared& shared) {
    constexpr int kConsumerWarps = 4 * kConsumers, kProducerWarps = 3;
    shared.items.init(kConsumerWarps + kProducerWarps);
    mbarrier_init(shared.q_full, 1);
    mbarrier_init(shared.q_empty, kConsumerWarps);
    mbarrier_init(shared.v_cut, 1);
    for (int i = 0; i < kHopperStages; i++) {
      mbarrier_init(shared.k_full[i], 1);
      mbarrier_init(shared.v_full[i], 1);
      mbarrier_init(shared.k_empty[i], kConsumerWarps);
      mbarrier_init(shared.v_empty[i], kConsumerWarps);
    }
    fence_mbarrier_init();
  }
};

// Named barriers of the block.
inline constexpr int kFirstTurn = 1;     // the first consumer may multiply
inline constexpr int kSecondTurn = 2;    // the second consumer may multiply
inline constexpr int kNegated = 3;       // and 4: the consumer's queries are negative
inline constexpr int kAllConsumers = 5;  // all of them: the end of an item

/// All consumers of a block, as finish_item wants them.
template <class S>
struct ConsumerThreads {
  WARPLOOP_DEVICE static int index() { return static_cast<int>(threadIdx.x) - kWarpgroup; }
  WARPLOOP_DEVICE static int count() { return kWarpgroup * S::kConsumers; }
  WARPLOOP_DEVICE static void sync() { barrier_sync<kAllConsumers>(kWarpgroup * S::kConsumers); }
};

/// One consumer warpgroup: 64 rows of an item. Thread l of warp w holds, of S and O, columns 8 j + 2 (l % 4),
/// + 1 of rows 16 w + l / 4 (half 0) and + 8 (half 1).
template <class S>
class HopperTile {
  using T = typename S::T;

 public:
  WARPLOOP_DEVICE HopperTile(const AttentionProblem& p, const AttentionPlan& plan, const ItemRing::Slot& slot,
                             typename S::Shared& shared, int consumer)
      : p_(p),
        plan_(plan),
        item_(slot.item),
        keys_(slot.keys),
        blocks_(slot.blocks),
        head_(slot.head),
        shared_(shared),
        consumer_(consumer) {}

  /// `number`: of the item's first tile of keys, of all items; returns that of the next item's.
  WARPLOOP_DEVICE int run(uint32_t q_parity, int number) {
    mbarrier_wait(shared_.q_full, q_parity);
    n_ = number, tile_ = first_tile<S::kKeys>(p_, keys_, blocks_);
    if (consumer_ * kWarpgroupRows >= item_.num_rows) return skip();
    if (negates(p_)) negate_queries();
    prepare_rows();
    for (bool final = false; !final;) {
      const int first = tile_;
      clear_sums();
      if (first < keys_.last) {
        add_tiles();
      } else {
        release(shared_.q_empty);  // no keys: one empty span
      }
      const SpanEnd end = span_end<S::kKeys>(p_, item_, keys_, blocks_, first, tile_);
      close_span(end);
      final = end.final;
    }
    return n_;
  }

 private:
  /// Its first row in the tile.
  WARPLOOP_DEVICE int first_row() const { return consumer_ * kWarpgroupRows; }
  WARPLOOP_DEVICE int position(int row) const {
    return position_of(item_, plan_.group, item_.first_row + row);
  }

  WARPLOOP_DEVICE void release(Mbarrier& empty) const {
    if (lane_index() == 0) mbarrier_arrive(empty);
  }

  WARPLOOP_DEVICE int next_tile_from(int key) const { return next_tile<S::kKeys>(p_, keys_, blocks_, key); }

  /// This consumer has no rows in the tile.
  WARPLOOP_DEVICE int skip() {
    sync_warp();  // a lane that still waits must not see a stage come round again
    release(shared_.q_empty);
    for (; tile_ < keys_.last; tile_ = next_tile_from(tile_ + S::kKeys), n_++) {
      const auto [index, parity] = stage_of(n_);
      mbarrier_wait(shared_.k_full[index], parity);
      mbarrier_wait(shared_.v_full[index], parity);
      sync_warp();
      release(shared_.k_empty[index]);
      release(shared_.v_empty[index]);
    }
    return n_;
  }

  /// A negative scale times q k is a positive one times (-q) k.
  WARPLOOP_DEVICE void negate_queries() const {
    constexpr int kPairs = kWarpgroupRows * kPiece / 2;
#pragma unroll 1
    for (int c = 0; c < S::kDh / kPiece; c++) {
      auto* pairs = reinterpret_cast<uint32_t*>(shared_.q + (c * S::kRows + first_row()) * kPiece);
      for (int i = static_cast<int>(threadIdx.x) % kWarpgroup; i < kPairs; i += kWarpgroup)
        pairs[i] ^= 0x80008000u;
    }
    fence_async_shared();
    if (consumer_ == 0) {
      barrier_sync<kNegated>(kWarpgroup);
    } else {
      barrier_sync<kNegated + 1>(kWarpgroup);
    }
  }

  WARPLOOP_DEVICE void prepare_rows() {
    unit_ = positive_score_unit(p_);
    turns_ = S::kConsumers > 1 && item_.num_rows > kWarpgroupRows;
    const int bottom = std::min(first_row() + kWarpgroupRows, int{item_.num_rows}) - 1;
    seen_ = {
        visible_keys(p_, item_.num_keys, position(bottom)).begin,
        std::min(visible_keys(p_, item_.num_keys, position(first_row())).end, first_maskable(p_, item_))};
#pragma unroll
    for (int half = 0; half < 2; half++) position_[half] = position(warp_row() + lane_index() / 4 + 8 * half);
  }
  /// First of the 16 rows of this warp, in the tile.
  WARPLOOP_DEVICE int warp_row() const { return first_row() + warp_index() % 4 * 16; }

  WARPLOOP_DEVICE void clear_sums() {
#pragma unroll
    for (int i = 0; i < S::kDv / 2; i++) o_[i] = 0;
#pragma unroll
    for (int half = 0; half < 2; half++) max_[half] = -INFINITY, sum_[half] = 0;
  }

  /// Issues S = Q K^T of tile number n.
  WARPLOOP_DEVICE void multiply_keys(int n) {
    const auto [index, parity] = stage_of(n);
    mbarrier_wait(shared_.k_full[index], parity);
    register_fence(s_);
    wgmma_fence();
    const uint32_t q = shared_address(shared_.q) + first_row() * kPieceBytes,
                   k = shared_address(shared_.k[index]);
#pragma unroll
    for (int step = 0; step < S::kDh / 16; step++) {
      const uint32_t within = step % 4 * 32;
      const uint64_t left = matrix_descriptor(q + step / 4 * S::kRows * kPieceBytes + within, 16,
                                              8 * kPieceBytes, Swizzle::b128);
      const uint64_t right = matrix_descriptor(k + step / 4 * S::kKeys * kPieceBytes + within, 16,
                                               8 * kPieceBytes, Swizzle::b128);
      wgmma<T, S::kKeys, false, false>(s_, left, right, step > 0);
    }
    wgmma_commit();
  }

  /// Issues O += P V of tile number n.
  WARPLOOP_DEVICE void multiply_values(int n) {
    const auto [index, parity] = stage_of(n);
    mbarrier_wait(shared_.v_full[index], parity);
    register_fence(o_);
    register_fence(probabilities_);
    wgmma_fence();
    const uint32_t v = shared_address(shared_.v[index]);
#pragma unroll
    for (int step = 0; step < S::kKeys / 16; step++) {
      const uint64_t right = matrix_descriptor(v + step * 16 * kPieceBytes, S::kKeys * kPieceBytes,
                                               8 * kPieceBytes, Swizzle::b128);
      wgmma_registers<T, S::kDv, true>(o_, probabilities_[step], right, true);
    }
    wgmma_commit();
  }

  /// Waits for S and gives its keys back. `kPending`: groups issued after it.
  template <int kPending>
  WARPLOOP_DEVICE void finish_keys(int n) {
    wgmma_wait<kPending>();
    register_fence(s_);
    release(shared_.k_empty[stage_of(n).index]);
  }
  /// Waits for O, the last group, and gives its values back.
  WARPLOOP_DEVICE void finish_values(int n) {
    wgmma_wait<0>();
    register_fence(o_);
    register_fence(probabilities_);
    release(shared_.v_empty[stage_of(n).index]);
  }

  /// -inf where a row does not see a key. Most tiles are seen whole.
  WARPLOOP_DEVICE void mask(int key) {
    if (seen_.begin <= key && key + S::kKeys <= seen_.end) return;
    hide_scores<S::kKeys>(p_, item_, keys_, position_, key, s_);
  }

  /// s becomes probabilities relative to the running maximum; alpha is what O and the sum have to be
  /// multiplied with. A tile in which a row sees nothing leaves its state as it is, to the bit.
  WARPLOOP_DEVICE void soften() {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float after = fmaxf(max_[half], highest_score<S::kKeys>(s_, half) * unit_);
      const float base = after == -INFINITY ? 0.0f : after;  // nothing seen yet: 2^(-inf - 0) = 0
      alpha_[half] = exp2_fast(max_[half] - base);
      max_[half] = after;
      sum_[half] = fmaf(sum_[half], alpha_[half], weigh_scores<S::kKeys>(s_, half, unit_, base));
    }
  }

  /// P = s in the form of an A operand.
  WARPLOOP_DEVICE void round_probabilities() {
#pragma unroll
    for (int step = 0; step < S::kKeys / 16; step++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        probabilities_[step][i] = pack_pair<T>(s_[8 * step + 2 * i], s_[8 * step + 2 * i + 1]);
      }
    }
  }

  WARPLOOP_DEVICE void rescale() {
#pragma unroll
    for (int at = 0; at < S::kDv / 2; at++) o_[at] *= alpha_[at / 2 % 2];
  }

  // Two consumers alternate: a turn lasts from issuing S to issuing O.
  WARPLOOP_DEVICE void take_turn() const {
    if (!turns_) return;
    if (consumer_ == 0) {
      barrier_sync<kFirstTurn>(2 * kWarpgroup);
    } else {
      barrier_sync<kSecondTurn>(2 * kWarpgroup);
    }
  }
  WARPLOOP_DEVICE void give_turn(bool first_waits) const {
    if (!turns_) return;
    if (consumer_ == 0) {
      barrier_arrive<kSecondTurn>(2 * kWarpgroup);
    } else if (first_waits) {
      barrier_arrive<kFirstTurn>(2 * kWarpgroup);
    }
  }

  /// 3. The tiles of a span, from tile_ on, at least one. tile_ and n_ are then those of the next one. Where
  /// that is is looked up while no scores take registers.
  WARPLOOP_DEVICE void add_tiles() {
    int now = tile_;
    const int end = std::min((now / item_.span + 1) * item_.span, keys_.last);
    tile_ = next_tile_from(now + S::kKeys);
    multiply_keys(n_);
    finish_keys<0>(n_);
    cap_scores(p_, s_);
    mask(now);
    soften();
    round_probabilities();
    if (consumer_ == 1) give_turn(tile_ < end);
    while (tile_ < end) {
      now = tile_, n_++;
      tile_ = next_tile_from(now + S::kKeys);
      take_turn();
      multiply_keys(n_);
      multiply_values(n_ - 1);
      give_turn(tile_ < end);
      finish_keys<1>(n_);
      cap_scores(p_, s_);
      mask(now);
      soften();
      // Due at the next turn anyway. Nothing ties the exponentials to this place: without a branch ptxas
      // would wait for O above them, and they would not overlap with it.
      if (tile_ < end) mbarrier_wait(shared_.k_full[stage_of(n_ + 1).index], stage_of(n_ + 1).parity);
      finish_values(n_ - 1);
      rescale();
      round_probabilities();
    }
    if (tile_ >= keys_.last) release(shared_.q_empty);
    multiply_values(n_);
    finish_values(n_++);
  }

  // 4.
  WARPLOOP_DEVICE void close_span(const SpanEnd& end) {
    RowState total[2];
#pragma unroll
    for (int half = 0; half < 2; half++) total[half] = {max_[half], sum_lanes<4>(sum_[half])};
    const int kept =
        static_cast<int>(blockIdx.x * plan_.totals_per_block[S::kKind]) + ConsumerThreads<S>::index();
    const typename S::Sums sums(p_, plan_, item_, head_, warp_row(), kept);
    if (sums.close(total, reinterpret_cast<typename S::Sums::Sums&>(o_), end) != 0)
      atomic_max(plan_.spoilt, 1u);
  }

  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const AttentionItem& item_;
  const ItemKeys& keys_;
  const SeenBlocks& blocks_;
  const int head_;
  typename S::Shared& shared_;
  const int consumer_;
  int tile_, n_;     // the next tile of keys: its first key and its number, of all items
  float unit_;       // of scores
  bool turns_;       // both consumers have rows
  KeyRange seen_;    // by all rows of the warpgroup
  int position_[2];  // among the keys
  float o_[S::kDv / 2], s_[S::kKeys / 2];
  uint32_t probabilities_[S::kKeys / 16][4];
  float max_[2], sum_[2], alpha_[2];  // of the span; max in base 2
};

template <class S>
WARPLOOP_DEVICE void consume_items(const AttentionProblem& p, const AttentionPlan& plan,
                                   typename S::Shared& shared, int consumer) {
  int tiles = 0;  // of the items before
  for (ItemReader items(shared.items); items.next(); items.done()) {
    tiles = HopperTile<S>(p, plan, items.slot(), shared, consumer)
                .run(static_cast<uint32_t>(items.number() & 1), tiles);
    finish_item(p, plan, items.slot().item, items.slot().head, shared.is_last, ConsumerThreads<S>{});
  }
}

template <class S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    attention_hopper(const __grid_constant__ AttentionProblem p, const __grid_constant__ AttentionPlan plan,
                     const __grid_constant__ HopperCopies copies, const __grid_constant__ CUtensorMap q_map,
                     const __grid_constant__ CUtensorMap k_map, const __grid_constant__ CUtensorMap v_map) {
  auto& shared = shared_plan<typename S::Shared>();
  if (threadIdx.x == 0) S::init_barriers(shared);
  wait_for_predecessors();
  sync_block();
  const auto produce = [&] {
    const HopperProducer<S> producer(p, plan, copies, shared);
    const int warp = warp_index();
    if (warp == 0) {
      hand_out_items<S::kKeys>(p, plan, S::kKind, shared.items);
    } else if (warp == 1) {
      producer.load_queries(&q_map);
    } else if (warp == 2) {
      producer.load_keys(&k_map);
    } else {
      producer.load_values(&v_map);
    }
  };
  run_roles<S::kRegisters>(produce, [&] { consume_items<S>(p, plan, shared, warp_index() / 4 - 1); });
}

}  // namespace warploop::cuda
