// What:      attention over latents (mla_attention) for tiles of 16 or 32 packed rows, on any GPU from
//            sm_80 on: keys of up to 576 columns, whose first up to 512 are the values, shared by all query
//            heads; all tokens that a query sees, or chosen ones
// Steps:     1. take an item: rows (heads times queries) of one sequence, one span of its latents or all of
//               them
//            2. for each tile of 32 latents: S = Q K^T in four parts, every fourth step of 16 columns in
//               each, which different warps compute and leave in shared memory
//            3. the parts are added, always in the same order; softmax, each warp four rows; P and the
//               factors of O stay in shared memory
//            4. O = decay O + P V, each warp its own columns
//            5. at the end of a span: its sums are added to those of the spans before, and after the last one
//               leave the block (span_sums.cuh); the block that comes last to a split tile merges them
// Mapping:   persistent blocks of 4 warps for 16 rows, 8 for 32. In step 2 a warp needs only its columns of
//            Q, for all rows, and keeps them in registers. For 32 rows there are two warps for each part,
//            with half of the latents each. A tile of 32 whose rows 16 to 31 are missing leaves out their
//            products
// Chosen:    with indices an item's keys are the columns of its query, which has tiles of its own: latents
//            are gathered row by row in any case (latent_ring.cuh). -1 is a row of zeros whose scores are
//            hidden
// Resources: shared memory 82 and 91 KiB: latents 2 x 36, S 8 or 16, P 1 or 2, as much as sm_86 and sm_89
//            have; 16 rows: 2 blocks per multiprocessor where that fits; registers <= 255: O 64, Q 36 or
//            72, S 16
// Cost:      2 rows Lk (2 R + Dr) flop, the latents once for each tile of rows: docs/kernels/mla_attention.md
// Numerics:  f32 sums; P rounded to the dtype of the latents; masks that select, spans merged in ascending
//            order (items.cuh). Rows that hidden values have spoilt are computed anew by the warps that
//            have stored them (exact.cuh). Results do not depend on the batch
// Limits:    bf16 | f16, one dtype for q and latents; rows of both aligned to 16 bytes
#pragma once
#include "cuda/attention/latent_ring.cuh"
#include "cuda/attention/merge.cuh"
#include "cuda/attention/span_sums.cuh"
#include "cuda/device/predecessors.cuh"

namespace warploop::cuda {

template <class T_, int kRowBlocks_>
struct SmallLatentShape {
  using T = T_;
  static constexpr int kDh = 576, kDv = 512, kKeys = kTileLatents;
  static constexpr int kRowBlocks = kRowBlocks_, kRows = 16 * kRowBlocks;
  static constexpr int kBlocks = kRowBlocks == 1 ? 2 : 1;
  static constexpr int kParts = 4;  // of S
  static constexpr int kWarps = kParts * kRowBlocks, kThreads = kWarps * kWarpSize;
  static constexpr int kOwnKeys = kKeys / kRowBlocks;           // of a tile, that a warp multiplies
  static constexpr int kSteps = kDh / 16 / kParts;              // of a part of S
  static constexpr int kColumns = kDv / kWarps;                 // of O, of a warp
  static constexpr int kRowLanes = kWarps * kWarpSize / kRows;  // that weigh a row
  using Ring = LatentRing<T, kDh, kThreads>;
  using Sums = SpanSums<kColumns, kThreads>;
  static constexpr int kTotalsPerBlock = kRowBlocks * Sums::kKept;  // float4
  struct Shared {
    typename Ring::Storage ring;
    alignas(128) float scores[kParts][kRows * kKeys];
    alignas(128) T weights[kRows * kKeys];
    float decay[kRows];      // factors of O
    RowState states[kRows];  // of the span
    ItemQueue::Slot slot;
  };
  static_assert(kRowLanes == 8 && kSpanUnit % kKeys == 0);
  static_assert(sizeof(Shared) <= 99 << 10, "what sm_86 and sm_89 have");
};

template <class S>
class SmallLatentTile {
  using T = typename S::T;

 public:
  /// `kept`: where the sums of this thread wait in plan.totals and in plan.group_totals.
  WARPLOOP_DEVICE SmallLatentTile(const AttentionProblem& p, const AttentionPlan& plan, int head, int kept,
                                  typename S::Shared& shared)
      : p_(p),
        plan_(plan),
        item_(shared.slot.item),
        head_(head),
        kept_(kept),
        shared_(shared),
        warp_(warp_index()),
        row_(warp_ * (kWarpSize / S::kRowLanes) + lane_index() / S::kRowLanes),
        active_(item_.num_rows > 16 ? 3u : 1u) {}

  WARPLOOP_DEVICE void run() {
    const ItemKeys& keys = shared_.slot.keys;
    const int tile = keys.first / S::kKeys * S::kKeys;
    typename S::Ring ring(shared_.ring, {p_, item_, keys, head_}, tile);
    ring.begin();
    load_queries();
    position_ = position_of(item_, plan_.group, item_.first_row + row_);
    seen_ = visible_keys(p_, item_.num_keys, position_);
    clear(o_);
    const int count = std::max(ring.count(), 1);  // no keys: one empty span
    for (int i = 0; i < count; i++) {
      ring.advance(i);
      const int first = tile + i * S::kKeys, last = first + S::kKeys;
      if (i < ring.count()) {
        const bool masked = keys.seen_first > first || keys.seen_last < last;
        add_tile(shared_address(ring.latents(i)), first, masked, p_.indices ? ring.none(i) : 0u);
      }
      const SpanEnd end = span_end<S::kKeys>(p_, item_, keys, shared_.slot.blocks, first, last);
      if (end.span) close_span(end);
    }
  }

 private:
  WARPLOOP_DEVICE int part() const { return warp_ % S::kParts; }
  WARPLOOP_DEVICE int first_key() const { return warp_ / S::kParts * S::kOwnKeys; }

  /// This warp's columns of Q as operands of its products; with a negative scale -Q.
  WARPLOOP_DEVICE void load_queries() {
    const int g = lane_index() / 4, t = lane_index() % 4, width = static_cast<int>(p_.q.sizes[2]);
    const uint32_t signs = negates(p_) ? 0x80008000u : 0u;
#pragma unroll
    for (int at = 0; at < 2 * S::kRowBlocks; at++) {
      const int row = at * 8 + g;
      const T* q = p_.q.template as<T>();
      if (row < item_.num_rows) q += row_offset(p_.q, item_, plan_.group, head_, item_.first_row + row);
#pragma unroll
      for (int step = 0; step < S::kSteps; step++) {
        const int column = (step * S::kParts + part()) * 16 + 2 * t;
        const bool valid = row < item_.num_rows && column < width;
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const auto* pair = reinterpret_cast<const uint32_t*>(q + column + 8 * half);
          q_[at / 2][step][at % 2 + 2 * half] = valid ? *pair ^ signs : 0u;
        }
      }
    }
  }

  // 2. to 4.
  WARPLOOP_DEVICE void add_tile(uint32_t latents, int first, bool masked, uint32_t none) {
    multiply_keys(latents);
    sync_block();
    weigh(first, masked, none);
    sync_block();
    if (warp_ * S::kColumns < static_cast<int>(p_.v.sizes[3])) add_values_of(latents);
  }

  /// Where a score lies: rows four apart share banks, which half a warp does not notice.
  WARPLOOP_DEVICE static int score_place(int row, int column) {
    return row * S::kKeys + (column ^ (row & 3) << 3);
  }
  /// Byte offset of 8 weights of a row: those of 8 rows lie in different banks.
  WARPLOOP_DEVICE static uint32_t weight_offset(int row, int chunk) {
    return static_cast<uint32_t>(row * S::kKeys * 2 + (chunk ^ (row >> 1 & 3)) * 16);
  }

  // 2.
  WARPLOOP_DEVICE void multiply_keys(uint32_t latents) {
    const int lane = lane_index(), width = static_cast<int>(p_.k.sizes[3]);
    const uint32_t key_lane = move_right(
        latents + chunk_offset<S::kDh>(first_key() + lane / 16 * 8 + lane % 8, lane / 8 % 2), part() * 16);
    float s[S::kRowBlocks][S::kOwnKeys / 8][4];
    clear(s);
#pragma unroll
    for (int step = 0; step < S::kSteps; step++) {
      if ((step * S::kParts + part()) * 16 >= width) break;
#pragma unroll
      for (int n = 0; n < S::kOwnKeys / 16; n++) {
        uint32_t b[4];
        load_matrix_x4(b, move_right(key_lane, step * S::kParts * 16) + n * 16 * S::kDh * 2);
#pragma unroll
        for (int r = 0; r < S::kRowBlocks; r++) {
          if (S::kRowBlocks > 1 && !(active_ >> r & 1)) continue;
          mma_m16n8k16<T>(s[r][2 * n], q_[r][step], b[0], b[1]);
          mma_m16n8k16<T>(s[r][2 * n + 1], q_[r][step], b[2], b[3]);
        }
      }
    }
    float* const to = shared_.scores[part()];
#pragma unroll
    for (int r = 0; r < S::kRowBlocks; r++) {
#pragma unroll
      for (int n = 0; n < S::kOwnKeys / 8; n++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const int row = r * 16 + lane / 4 + 8 * half, column = first_key() + n * 8 + lane % 4 * 2;
          *reinterpret_cast<float2*>(to + score_place(row, column)) =
              make_float2(s[r][n][2 * half], s[r][n][2 * half + 1]);
        }
      }
    }
  }

  // 3. Four latents of a row for each lane. `none`: a bit for each latent of the tile that is none.
  WARPLOOP_DEVICE void weigh(int first, bool masked, uint32_t none) {
    constexpr int kOwn = S::kKeys / S::kRowLanes;
    const int column = lane_index() % S::kRowLanes * kOwn;
    float s[kOwn];
    add_parts_of(score_place(row_, column), s);
    cap_scores(p_, s);
    uint32_t hidden = none >> column;
    if (masked) hidden |= hidden_keys(p_, item_, position_, first + column);
    const float unit = positive_score_unit(p_);
    float highest = -INFINITY;
#pragma unroll
    for (int j = 0; j < kOwn; j++) {
      const int key = first + column + j;
      if ((hidden >> j & 1u) != 0 || (masked && (key < seen_.begin || key >= seen_.end))) s[j] = -INFINITY;
      highest = fmaxf(highest, s[j]);
    }
    const float after = fmaxf(state_.max, max_lanes<S::kRowLanes>(highest) * unit);
    const float base = after == -INFINITY ? 0.0f : after;  // nothing seen yet: 2^(-inf - 0) = 0
    const float decay = exp2_fast(state_.max - base);
    float sum = 0;
#pragma unroll
    for (int j = 0; j < kOwn; j++) {
      s[j] = exp2_fast(fmaf(s[j], unit, -base));
      sum += s[j];
    }
    state_ = {after, fmaf(state_.sum, decay, sum)};
    auto* to = reinterpret_cast<unsigned char*>(shared_.weights) + weight_offset(row_, column / 8);
    *reinterpret_cast<uint2*>(to + column % 8 * 2) =
        make_uint2(pack_pair<T>(s[0], s[1]), pack_pair<T>(s[2], s[3]));
    if (column == 0) shared_.decay[row_] = decay;
  }
  WARPLOOP_DEVICE void add_parts_of(int place, float (&s)[4]) const {
    s[0] = s[1] = s[2] = s[3] = 0;
#pragma unroll
    for (int i = 0; i < S::kParts; i++) {
      const float4 x = *reinterpret_cast<const float4*>(&shared_.scores[i][place]);
      s[0] += x.x, s[1] += x.y, s[2] += x.z, s[3] += x.w;
    }
  }

  // 4.
  WARPLOOP_DEVICE void add_values_of(uint32_t latents) {
    const int lane = lane_index();
    const uint32_t from = shared_address(shared_.weights);
    uint32_t weights[S::kRowBlocks][S::kKeys / 16][4];
#pragma unroll
    for (int r = 0; r < S::kRowBlocks; r++) {
      if (S::kRowBlocks > 1 && !(active_ >> r & 1)) continue;
#pragma unroll
      for (int k = 0; k < S::kKeys / 16; k++)
        load_matrix_x4(weights[r][k], from + weight_offset(r * 16 + lane % 16, 2 * k + lane / 16));
      const int row = r * 16 + lane / 4;
      const float decay[2] = {shared_.decay[row], shared_.decay[row + 8]};
      rescale(o_[r], decay);
    }
    add_values<T, S::kDh>(weights, active_, latents + warp_ * S::kColumns * 2, 0, o_);
  }

  // 5.
  WARPLOOP_DEVICE void close_span(const SpanEnd& end) {
    const float sum = sum_lanes<S::kRowLanes>(state_.sum);
    if (lane_index() % S::kRowLanes == 0) shared_.states[row_] = {state_.max, sum};
    sync_block();
    const int row = lane_index() / 4;
#pragma unroll
    for (int r = 0; r < S::kRowBlocks; r++) {
      RowState total[2] = {shared_.states[r * 16 + row], shared_.states[r * 16 + row + 8]};
      const typename S::Sums sums(p_, plan_, item_, head_, r * 16, kept_ + r * S::Sums::kKept,
                                  warp_ * S::kColumns);
      const uint32_t spoilt = sums.close(total, o_[r], end);
      // Chosen tokens are seen, all of them.
      if (!p_.indices && any_lane(spoilt != 0)) mend(r * 16, spoilt, total);
    }
    clear(o_);
    state_ = RowState{};
  }

  /// Rows that hidden values have spoilt: each warp looks after the columns that it has stored.
  WARPLOOP_DEVICE void mend(int first_row, uint32_t spoilt, const RowState (&total)[2]) const {
    const int begin = warp_ * S::kColumns,
              end = std::min(begin + S::kColumns, static_cast<int>(p_.v.sizes[3]));
    const ExactBlock<T> rows{p_, plan_, item_, shared_.slot.keys, head_, first_row};
    rows.mend(spoilt, total, begin, end);
  }

  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const AttentionItem& item_;
  const int head_, kept_;
  typename S::Shared& shared_;
  const int warp_;
  const int row_;          // that this lane weighs
  const uint32_t active_;  // blocks of 16 rows that there are, a bit each
  int position_;           // of row_ among the keys
  KeyRange seen_;          // by it
  RowState state_;         // of it, of the span; its sum is this lane's share
  uint32_t q_[S::kRowBlocks][S::kSteps][4];
  float o_[S::kRowBlocks][S::kColumns / 8][4];  // of the span
};

/// `kind`: the list of items that have tiles of this shape.
template <class S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    attention_latent_tiles(const __grid_constant__ AttentionProblem p,
                           const __grid_constant__ AttentionPlan plan, int kind) {
  wait_for_predecessors();
  auto& shared = shared_plan<typename S::Shared>();
  const int kept = static_cast<int>(blockIdx.x * plan.totals_per_block[kind]) + static_cast<int>(threadIdx.x);
  ItemQueue queue(p, plan, kind, shared.slot);
  for (int head = queue.take(); head >= 0; head = queue.take()) {
    SmallLatentTile<S>(p, plan, head, kept, shared).run();
    finish_item(p, plan, shared.slot.item, head, shared.slot.is_last);
  }
}

}  // namespace warploop::cuda
