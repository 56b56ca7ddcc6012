// What:      attention over latents (mla_attention) with wgmma and TMA, on a Hopper GPU: keys of up to 576
//            columns, whose first up to 512 are the values, shared by all query heads
// Steps:     1. one warp takes items: a tile of 64 rows (heads times queries) of one sequence, one span of
//               its latents or all of them
//            2. one warp each loads queries and latents (hopper_copies.cuh), the latents through two stages
//            3. tile n of 64 latents lies in stage n % 2 and belongs to consumer n % 2, which computes
//               S = Q K^T, the softmax against the running maximum, and leaves P and the factors of O for
//               both. P takes the place of the tile's last 64 columns, which no value has
//            4. both consumers: O = decay O + P V, each for its half of the columns. So one multiplies while
//               the other takes exponentials
//            5. at the end of a span: its sums are added to those of the spans before, and after the last one
//               leave the block (span_sums.cuh); the block that comes last to a split tile merges them
// Mapping:   persistent blocks of a producer warpgroup and two consumers, one block per multiprocessor. O is
//            64 x 512 f32: no warpgroup has registers for all of it
// Resources: shared memory 217 KiB: Q 72, latents 2 x 72; registers 56 for the producer, 224 for a consumer
//            (O 128, S 32)
// Cost:      64 Lk (2 R + Dr) 2 flop per tile of rows, and its latents once; with 64 rows both limits are
//            near each other: docs/kernels/mla_attention.md
// Numerics:  as the Hopper kernel's: f32 sums, P rounded to the dtype of the latents, masks that select,
//            spans merged in ascending order. Rows that hidden values have spoilt are computed anew by the
//            warps that have stored them (exact.cuh)
// Limits:    bf16, one dtype for q and latents; rows of both aligned to 16 bytes
// Source:    DeepSeek-AI: FlashMLA, docs/20250422-new-kernel-deep-dive.md (two consumers that share O by
//            columns); Shah et al.: FlashAttention-3, arXiv 2407.08608, section 3.1
#pragma once
#include "cuda/attention/hopper.cuh"

namespace warploop::cuda {

inline constexpr int kScored = 6;  // and 7: named barriers of the consumers, behind those of hopper.cuh

template <class T_>
struct LatentShape {
  using T = T_;
  static constexpr int kDh = 576, kDv = 512, kKeys = 64, kConsumers = 2, kRows = kWarpgroupRows;
  static constexpr int kThreads = kWarpgroup * (kConsumers + 1), kKind = kWide, kBlocks = 1;
  static constexpr int kColumns = kDv / kConsumers;  // of O, of a consumer
  static constexpr int kParts = 3;  // of a tile: the product with the first begins when it is there
  static constexpr int kPartWidth = kDh / kParts;
  static constexpr RoleRegisters kRegisters{56, 224};
  using Sums = SpanSums<kColumns, kWarpgroup * kConsumers>;
  static constexpr int kTotalsPerBlock = Sums::kKept;  // float4
  static_assert(kPartWidth % kPiece == 0 && kDh - kDv == kPiece && kKeys == kPiece);

  /// By the owner of a tile, for both consumers.
  struct Exchange {
    alignas(16) float max[kRows];  // of the span so far; in base 2
    float decay[kRows];            // factors of O
  };
  struct Shared {
    alignas(1024) T q[kRows * kDh];
    T latents[kHopperStages][kKeys * kDh];
    Exchange exchange[kHopperStages];
    RowState states[kConsumers][kRows];  // of a consumer's tiles of a span
    Mbarrier q_full, q_empty;
    Mbarrier full[kHopperStages][kParts], empty[kHopperStages];
    Mbarrier weighed[kHopperStages];  // P and the exchange are there
    Mbarrier cut;                     // latents have landed of which some rows are still to be zeroed
    bool is_last;                     // finish_item's
    ItemRing items;
  };
  static_assert(sizeof(Shared) <= 227 << 10, "what a block can have");

  WARPLOOP_DEVICE static void init_barriers(Shared& shared) {
    constexpr int kConsumerWarps = 4 * kConsumers, kProducerWarps = 2;
    shared.items.init(kConsumerWarps + kProducerWarps);
    mbarrier_init(shared.q_full, 1);
    mbarrier_init(shared.q_empty, kConsumerWarps);
    mbarrier_init(shared.cut, 1);
    for (int i = 0; i < kHopperStages; i++) {
      for (int part = 0; part < kParts; part++) mbarrier_init(shared.full[i][part], 1);
      mbarrier_init(shared.empty[i], kConsumerWarps);
      mbarrier_init(shared.weighed[i], 4);
    }
    fence_mbarrier_init();
  }
};

/// Loads the latents of all items of the block: a warp.
template <class S>
WARPLOOP_DEVICE void load_latents(const AttentionProblem& p, const HopperCopies& copies,
                                  typename S::Shared& shared, const CUtensorMap* map) {
  using T = typename S::T;
  constexpr int kPartElements = S::kKeys * S::kPartWidth;
  uint32_t cut_parity = 0;  // of the tiles that were cut
  const auto box_of = [&](const KeySource& source, const KeyTiles& tiles, int i) {
    if (copies.box_tokens == 0 || i >= tiles.count) return KeyBox{0, -1};
    return find_box<S::kKeys>(source, copies.box_tokens, tiles.first + i * S::kKeys);
  };
  for (ItemReader items(shared.items); items.next(); items.done()) {
    const auto& [item, keys, blocks, head, before] = items.slot();
    const KeySource source{p, item, keys, head};
    const KeyTiles tiles = key_tiles<S::kKeys>(keys);
    KeyBox box = box_of(source, tiles, 0);
    for (int i = 0; i < tiles.count; i++) {
      const HopperStage stage = stage_of(before + i);
      const int first = tiles.first + i * S::kKeys;
      const KeyBox next = box_of(source, tiles, i + 1);
      T* to = shared.latents[stage.index];
      auto& full = shared.full[stage.index];
      mbarrier_wait(shared.empty[stage.index], stage.parity ^ 1u);
      if (copies.box_tokens == 0) {
#pragma unroll 1
        for (int part = 0; part < S::kParts; part++) {
          const int column = part * S::kPartWidth;
          copy_swizzled<S::kKeys, S::kPartWidth>(to + part * kPartElements, p.k.template as<T>() + column,
                                                 static_cast<int>(p.k.sizes[3]) - column, full[part],
                                                 [&](int r) { return find_row(source, first + r).key; });
        }
      } else if (!is_cut<S::kKeys>(keys, copies.box_tokens, first)) {
#pragma unroll
        for (int part = 0; part < S::kParts; part++) {
          load_boxes<S::kKeys, S::kPartWidth>(to + part * kPartElements, map, full[part], box, head,
                                              copies.box_tokens, part * S::kPartWidth);
        }
      } else {
        load_boxes<S::kKeys, S::kDh>(to, map, shared.cut, box, head, copies.box_tokens);
        mbarrier_wait(shared.cut, cut_parity);
        cut_parity ^= 1u;
        zero_rows<S::kKeys, S::kDh>(to, keys.first - first, keys.last - first);
        fence_async_shared();
        sync_warp();
        if (lane_index() < S::kParts) mbarrier_arrive(full[lane_index()]);
      }
      box = next;
    }
  }
}

/// A consumer warpgroup: its half of the columns of O of an item, and its own tiles of latents. Threads hold
/// rows and columns as in HopperTile.
template <class S>
class LatentTile {
  using T = typename S::T;

 public:
  WARPLOOP_DEVICE LatentTile(const AttentionProblem& p, const AttentionPlan& plan, const ItemRing::Slot& slot,
                             typename S::Shared& shared, int consumer)
      : p_(p),
        plan_(plan),
        slot_(slot),
        item_(slot.item),
        shared_(shared),
        consumer_(consumer),
        tiles_(key_tiles<S::kKeys>(slot.keys)) {}

  WARPLOOP_DEVICE void run(uint32_t q_parity) {
    mbarrier_wait(shared_.q_full, q_parity);
    if (negates(p_)) negate_queries();
    prepare_rows();
    int first = 0;
    for (bool final = false; !final;) {
      const int span_tiles = item_.span / S::kKeys, before = tiles_.first / S::kKeys;
      const int last = std::min(((before + first) / span_tiles + 1) * span_tiles - before, tiles_.count);
      final = last == tiles_.count;
      const SpanEnd end =
          span_end<S::kKeys>(p_, item_, slot_.keys, slot_.blocks, first_key(first), first_key(last));
      clear_sums();
      if (last > first) add_tiles(first, last);
      if (final) release(shared_.q_empty);
      close_span(end);
      first = last;
    }
  }

 private:
  WARPLOOP_DEVICE int first_key(int i) const { return tiles_.first + i * S::kKeys; }
  WARPLOOP_DEVICE HopperStage stage(int i) const { return stage_of(slot_.tiles + i); }
  WARPLOOP_DEVICE bool is_mine(int i) const { return stage(i).index == consumer_; }
  /// Of the two rows of this thread: the first.
  WARPLOOP_DEVICE int own_row() const { return warp_index() % 4 * 16 + lane_index() / 4; }
  WARPLOOP_DEVICE T* weights(int index) const { return shared_.latents[index] + S::kKeys * S::kDv; }

  WARPLOOP_DEVICE void release(Mbarrier& empty) const {
    sync_warp();
    if (lane_index() == 0) mbarrier_arrive(empty);
  }

  /// A negative scale times q k is a positive one times (-q) k.
  WARPLOOP_DEVICE void negate_queries() const {
    auto* pairs = reinterpret_cast<uint32_t*>(shared_.q);
    constexpr int kPairs = S::kRows * S::kDh / 2;
#pragma unroll 1
    for (int i = ConsumerThreads<S>::index(); i < kPairs; i += ConsumerThreads<S>::count())
      pairs[i] ^= 0x80008000u;
    fence_async_shared();
    ConsumerThreads<S>::sync();
  }

  WARPLOOP_DEVICE void prepare_rows() {
    const auto position = [this](int row) { return position_of(item_, plan_.group, item_.first_row + row); };
    unit_ = positive_score_unit(p_);
    seen_ = {slot_.keys.seen_first, slot_.keys.seen_last};
#pragma unroll
    for (int half = 0; half < 2; half++) position_[half] = position(own_row() + 8 * half);
  }

  WARPLOOP_DEVICE void clear_sums() {
#pragma unroll
    for (int i = 0; i < S::kColumns / 2; i++) o_[i] = 0;
#pragma unroll
    for (int half = 0; half < 2; half++) max_[half] = own_max_[half] = -INFINITY, sum_[half] = 0;
  }

  /// Issues S = Q K^T of tile i, part after part as they land.
  WARPLOOP_DEVICE void multiply_keys(int i) {
    const auto [index, parity] = stage(i);
    const uint32_t q = shared_address(shared_.q), k = shared_address(shared_.latents[index]);
    constexpr int kSteps = S::kPartWidth / 16;
    register_fence(s_);
#pragma unroll
    for (int part = 0; part < S::kParts; part++) {
      mbarrier_wait(shared_.full[index][part], parity);
      wgmma_fence();
#pragma unroll
      for (int step = part * kSteps; step < (part + 1) * kSteps; step++) {
        const uint32_t within = step % 4 * 32;
        const uint64_t left = matrix_descriptor(q + step / 4 * S::kRows * kPieceBytes + within, 16,
                                                8 * kPieceBytes, Swizzle::b128);
        const uint64_t right = matrix_descriptor(k + step / 4 * S::kKeys * kPieceBytes + within, 16,
                                                 8 * kPieceBytes, Swizzle::b128);
        wgmma<T, S::kKeys, false, false>(s_, left, right, step > 0);
      }
    }
    wgmma_commit();
  }

  /// Issues O += P V of tile i.
  WARPLOOP_DEVICE void multiply_values(int i) {
    const int index = stage(i).index;
    register_fence(o_);
    wgmma_fence();
    const uint32_t p = shared_address(weights(index)),
                   v = shared_address(shared_.latents[index]) + consumer_ * S::kColumns * S::kKeys * 2;
#pragma unroll
    for (int step = 0; step < S::kKeys / 16; step++) {
      const uint64_t left = matrix_descriptor(p + step * 32, 16, 8 * kPieceBytes, Swizzle::b128);
      const uint64_t right = matrix_descriptor(v + step * 16 * kPieceBytes, S::kKeys * kPieceBytes,
                                               8 * kPieceBytes, Swizzle::b128);
      wgmma<T, S::kColumns, false, true>(o_, left, right, true);
    }
    wgmma_commit();
  }

  /// -inf where a row does not see a latent. Most tiles are seen whole.
  WARPLOOP_DEVICE void mask(int i) {
    const int key = first_key(i);
    if (seen_.begin <= key && key + S::kKeys <= seen_.end) return;
    hide_scores<S::kKeys>(p_, item_, slot_.keys, position_, key, s_);
  }

  /// s becomes probabilities relative to the running maximum of both consumers. `decay`: what O has to be
  /// multiplied with; it is 1 for a tile in which a row sees nothing.
  WARPLOOP_DEVICE void soften(float (&decay)[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float after = fmaxf(max_[half], highest_score<S::kKeys>(s_, half) * unit_);
      const float base = after == -INFINITY ? 0.0f : after;  // nothing seen yet: 2^(-inf - 0) = 0
      decay[half] = exp2_fast(max_[half] - base);
      const float kept = exp2_fast(own_max_[half] - base);
      max_[half] = own_max_[half] = after;
      sum_[half] = fmaf(sum_[half], kept, weigh_scores<S::kKeys>(s_, half, unit_, base));
    }
  }

  /// All warps of the consumer have their rows of S: nobody reads the tile's last columns any more.
  WARPLOOP_DEVICE void await_scores() const {
    if (consumer_ == 0) {
      barrier_sync<kScored>(kWarpgroup);
    } else {
      barrier_sync<kScored + 1>(kWarpgroup);
    }
  }

  /// P, in the place of columns that S was the last to need, and what the other consumer has to know.
  WARPLOOP_DEVICE void hand_over(int index, const float (&decay)[2]) {
    auto* to = reinterpret_cast<unsigned char*>(weights(index));
    typename S::Exchange& exchange = shared_.exchange[index];
    const int t = lane_index() % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = own_row() + 8 * half;
#pragma unroll
      for (int j = 0; j < S::kKeys / 8; j++) {
        const uint32_t at = swizzled(Swizzle::b128, row * kPieceBytes + j * 16) + t * 4;
        *reinterpret_cast<uint32_t*>(to + at) = pack_pair<T>(s_[4 * j + 2 * half], s_[4 * j + 2 * half + 1]);
      }
      if (t == 0) exchange.max[row] = max_[half], exchange.decay[row] = decay[half];
    }
    fence_async_shared();
    release(shared_.weighed[index]);
  }

  /// Waits for P of tile i and for what its owner has left.
  WARPLOOP_DEVICE void receive(int i, float (&decay)[2]) {
    const auto [index, parity] = stage(i);
    mbarrier_wait(shared_.weighed[index], parity);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      max_[half] = shared_.exchange[index].max[own_row() + 8 * half];
      decay[half] = shared_.exchange[index].decay[own_row() + 8 * half];
    }
  }
  /// O of the tiles before i becomes relative to the maximum with tile i. Nothing with O is under way.
  WARPLOOP_DEVICE void rescale(int i) {
    float decay[2];
    receive(i, decay);
#pragma unroll
    for (int at = 0; at < S::kColumns / 2; at++) o_[at] *= decay[at / 2 % 2];
  }

  /// 3. for a tile of this consumer, whose S has been issued last.
  WARPLOOP_DEVICE void weigh_own(int i) {
    wgmma_wait<0>();
    register_fence(s_);
    cap_scores(p_, s_);
    mask(i);
    float decay[2];
    soften(decay);
    await_scores();
    hand_over(stage(i).index, decay);
  }

  /// Waits for O of tile i, the last group, and gives its latents back.
  WARPLOOP_DEVICE void finish_values(int i) {
    wgmma_wait<0>();
    register_fence(o_);
    release(shared_.empty[stage(i).index]);
  }
  /// 4. for a tile.
  WARPLOOP_DEVICE void add_values(int i) {
    rescale(i);
    multiply_values(i);
    finish_values(i);
  }

  /// 3. and 4. for the tiles [first, end) of a span, at least one: in turn one of this consumer and one of
  /// the other. No product with O is under way where the code branches, or ptxas would wait for each.
  WARPLOOP_DEVICE void add_tiles(int first, int end) {
    if (!is_mine(first)) {
      if (first + 1 == end) return add_values(first);
      multiply_keys(first + 1);
      wgmma_wait<0>();
      register_fence(s_);
      add_values(first++);
    } else {
      multiply_keys(first);
    }
#pragma unroll 1
    for (;; first += 2) {
      weigh_own(first);
      add_values(first);  // while the other consumer weighs its tile
      if (first + 1 == end) return;
      if (first + 2 == end) return add_values(first + 1);
      rescale(first + 1);
      multiply_values(first + 1);
      multiply_keys(first + 2);
      wgmma_wait<1>();
      register_fence(o_);
      release(shared_.empty[stage(first + 1).index]);
    }
  }

  // 5.
  WARPLOOP_DEVICE void close_span(const SpanEnd& end) {
    const int row = own_row(), t = lane_index() % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float sum = sum_lanes<4>(sum_[half]);
      if (t == 0) shared_.states[consumer_][row + 8 * half] = {own_max_[half], sum};
    }
    ConsumerThreads<S>::sync();
    RowState total[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      // Relative to the maximum that O is relative to.
      const float base = max_[half] == -INFINITY ? 0.0f : max_[half];
      float sum = 0;
#pragma unroll
      for (int c = 0; c < S::kConsumers; c++) {
        const RowState part = shared_.states[c][row + 8 * half];
        sum = fmaf(part.sum, exp2_fast(part.max - base), sum);
      }
      total[half] = {max_[half], sum};
    }
    ConsumerThreads<S>::sync();  // the states have been read
    const int kept =
        static_cast<int>(blockIdx.x * plan_.totals_per_block[S::kKind]) + ConsumerThreads<S>::index();
    const int warp_row = warp_index() % 4 * 16, column = consumer_ * S::kColumns;
    const typename S::Sums sums(p_, plan_, item_, slot_.head, warp_row, kept, column);
    const uint32_t spoilt = sums.close(total, reinterpret_cast<typename S::Sums::Sums&>(o_), end);
    if (any_lane(spoilt != 0)) mend(spoilt, total);
  }

  /// Rows that hidden values have spoilt: each warp looks after the columns that it has stored.
  WARPLOOP_DEVICE void mend(uint32_t spoilt, const RowState (&total)[2]) const {
    const int begin = consumer_ * S::kColumns,
              end = std::min(begin + S::kColumns, static_cast<int>(p_.v.sizes[3]));
    const ExactBlock<T> rows{p_, plan_, item_, slot_.keys, slot_.head, warp_index() % 4 * 16};
    rows.mend(spoilt, total, begin, end);
  }

  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const ItemRing::Slot& slot_;
  const AttentionItem& item_;
  typename S::Shared& shared_;
  const int consumer_;
  const KeyTiles tiles_;
  float unit_;                // of scores
  KeyRange seen_;             // by all rows
  int position_[2];           // among the keys
  float o_[S::kColumns / 2];  // of the span
  float s_[S::kKeys / 2];
  float max_[2];               // of the span so far, in base 2
  float own_max_[2], sum_[2];  // of this consumer's tiles: what `sum_` is relative to
};

template <class S>
WARPLOOP_DEVICE void consume_latents(const AttentionProblem& p, const AttentionPlan& plan,
                                     typename S::Shared& shared, int consumer) {
  for (ItemReader items(shared.items); items.next(); items.done()) {
    LatentTile<S>(p, plan, items.slot(), shared, consumer).run(static_cast<uint32_t>(items.number() & 1));
    finish_item(p, plan, items.slot().item, items.slot().head, shared.is_last, ConsumerThreads<S>{});
  }
}

template <class S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    attention_latent(const __grid_constant__ AttentionProblem p, const __grid_constant__ AttentionPlan plan,
                     const __grid_constant__ HopperCopies copies, const __grid_constant__ CUtensorMap q_map,
                     const __grid_constant__ CUtensorMap latent_map) {
  auto& shared = shared_plan<typename S::Shared>();
  if (threadIdx.x == 0) S::init_barriers(shared);
  wait_for_predecessors();
  sync_block();
  const auto produce = [&] {
    const int warp = warp_index();
    if (warp == 0) {
      hand_out_items<S::kKeys>(p, plan, S::kKind, shared.items);
    } else if (warp == 1) {
      HopperProducer<S>(p, plan, copies, shared).load_queries(&q_map);
    } else if (warp == 2) {
      load_latents<S>(p, copies, shared, &latent_map);
    }
  };
  run_roles<S::kRegisters>(produce, [&] { consume_latents<S>(p, plan, shared, warp_index() / 4 - 1); });
}

}  // namespace warploop::cuda
