// What:      out[i, h] = softmax over the visible keys j of (scale * q[i, h] . k[j, h']) times v[j, h'],
//            h' = h Hkv / Hq, with wgmma and TMA
// Steps:     1. find the tile: kRows queries of one sequence and head
//            2. producer: Q once, then blocks of kKeys keys and values, the last block first, through two
//               stages each
//            3. consumers, block after block: S = Q K^T of the next block is issued, then O += P V of this
//               one; while that runs, the softmax of S; then O is rescaled and S becomes P, in registers
//            4. O / l through shared memory to global memory in 16-byte pieces; lse
// Mapping:   grid = heads x (upper bound of tiles), longest tiles first; block = one producer warpgroup (one
//            thread of it works) and kConsumers warpgroups of 64 queries. Heads are neighbours in the grid:
//            those of a group share K and V in L2. Two consumers take turns on the tensor cores: one
//            multiplies while the other takes exponentials.
// Resources: shared memory 160 KiB at Dh 128 (Q 32, K and V 2 x 32 each), one block per multiprocessor;
//            registers 24 for the producer and 240 for a consumer (O 64, S 64, P 32 at Dh = Dv = 128)
// Cost:      4 Lq Lk Dh flop per head (half when causal), limited by the tensor cores; the exponentials take
//            about as long as 512 flop each, which is why they must overlap
// Numerics:  f32 sums and softmax state, P rounded to the dtype of v. A row that sees no key: out 0,
//            lse -inf. A mask selects: hidden scores become -inf; rows of V beyond the sequence, which belong
//            to others, are zeroed in shared memory; rows that other hidden values have spoilt are computed
//            anew (cuda/attention/exact.cuh). A row's result depends on its sequence only
// Limits:    bf16 | f16, one dtype throughout; (Dh, Dv) = (64, 64), (128, 128), (192, 128), (256, 256);
//            scale > 0; rows and heads aligned to 16 bytes
// Source:    Shah et al.: FlashAttention-3, arXiv 2407.08608, sections 3.1 and 3.2 (without its persistent
//            scheduler)
#include "ops/flash_attention/flash_attention.sm90.h"

#include <algorithm>
#include <climits>

#include "cuda/attention/exact.cuh"
#include "cuda/device/block.cuh"
#include "cuda/device/fault.cuh"
#include "cuda/device/mbarrier.cuh"
#include "cuda/device/registers.cuh"
#include "cuda/device/store_matrix.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/device/wgmma.cuh"
#include "cuda/launch.h"
#include "cuda/tensor_map.h"

namespace warploop::cuda {

namespace {

constexpr int kStages = 2;
constexpr int kPiece = 64;               // columns of one swizzled row of 128 bytes
constexpr int kPieceBytes = 2 * kPiece;  // of one row
constexpr int kWarpgroup = 128;          // threads
constexpr int kWarpgroupRows = 64;       // queries
constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

// Named barriers of the block.
constexpr int kFirstTurn = 1;   // the first consumer may multiply
constexpr int kSecondTurn = 2;  // the second consumer may multiply
constexpr int kTailZeroed = 3;  // all consumers: the rows of V beyond the sequence are zero

template <int kDh_, int kDv_, int kKeys_, int kConsumers_>
struct Shape {
  static constexpr int kDh = kDh_, kDv = kDv_, kKeys = kKeys_, kConsumers = kConsumers_;
  static constexpr int kRows = kWarpgroupRows * kConsumers;
  static constexpr int kThreads = kWarpgroup * (kConsumers + 1);
  static constexpr int kConsumerRegisters = kConsumers == 2 ? 240 : 160;
  static constexpr int kProducerRegisters = kConsumers == 2 ? 24 : 32;
  static_assert(kWarpgroup * (kProducerRegisters + kConsumers * kConsumerRegisters) <= 65536);
};

/// The queries [first_row, first_row + rows) of q, which see keys [first_key, first_key + Lk) of k at most.
struct Tile {
  int first_row, rows;
  int first_key, Lk;
  int position;  // of the first query among the keys: it sees keys up to this one when causal
  bool found;
};

template <class S, class T>
struct Plan {
  alignas(1024) T q[S::kRows * S::kDh];  // [Dh / 64, kRows, 64], swizzled; in the end the result
  T k[kStages][S::kKeys * S::kDh];       // [Dh / 64, kKeys, 64], swizzled
  T v[kStages][S::kKeys * S::kDv];       // [Dv / 64, kKeys, 64], swizzled
  Mbarrier q_full, k_full[kStages], k_empty[kStages], v_full[kStages], v_empty[kStages];
  Tile tile;
};

struct Arguments {
  FlashAttentionParams p;
  FaultSite bad_range, bad_total;
  float scale_log2;
};

/// One of a ring of stages: which, and the parity of its use.
struct Stage {
  int index;
  uint32_t parity;
};
WARPLOOP_DEVICE Stage stage_of(int block) {
  return {block % kStages, static_cast<uint32_t>(block / kStages & 1)};
}

/// [cu[b], cu[b + 1]) of a tensor of `rows` rows; empty, with a fault, where that is no range.
struct Range {
  int first, count;
};
WARPLOOP_DEVICE Range sequence_range(const TensorView& cu, int b, int64_t rows, const FaultSite& fault) {
  if (!cu) return {0, static_cast<int>(rows)};
  const int first = cu.as<int32_t>()[b], end = cu.as<int32_t>()[b + 1];
  if (first >= 0 && first <= end && end <= rows) return {first, end - first};
  raise_fault(fault, first < 0 || first > rows ? first : end, rows, b);
  return {0, 0};
}

/// 1. Tile number `rank`, counted from the last tile of the last sequence. A whole warp calls it.
template <class S>
WARPLOOP_DEVICE void find_tile(const Arguments& a, int rank, Tile& tile) {
  const FlashAttentionParams& p = a.p;
  const int B = p.cu_seqlens_q ? static_cast<int>(p.cu_seqlens_q.size(0)) - 1 : 1;
  if (lane_index() == 0) {
    tile.found = false;
    if (p.cu_seqlens_q && blockIdx.x == 0) {
      const auto* cu = p.cu_seqlens_q.as<int32_t>();
      if (cu[B] - cu[0] != p.q.size(0)) raise_fault(a.bad_total, cu[B] - cu[0], p.q.size(0));
    }
  }
  sync_warp();
  for (int last = B - 1; last >= 0; last -= kWarpSize) {
    const int b = last - lane_index();
    Range queries{0, 0};
    if (b >= 0) queries = sequence_range(p.cu_seqlens_q, b, p.q.size(0), a.bad_range);
    const int tiles = (queries.count + S::kRows - 1) / S::kRows;
    const int before = sum_lanes_before(tiles);
    const bool here = rank >= before && rank < before + tiles;
    if (here) {
      const Range keys = sequence_range(p.cu_seqlens_k, b, p.k.size(0), a.bad_range);
      const int first = (tiles - 1 - (rank - before)) * S::kRows;  // of the sequence
      tile = {.first_row = queries.first + first,
              .rows = queries.count - first < S::kRows ? queries.count - first : S::kRows,
              .first_key = keys.first,
              .Lk = keys.count,
              .position = first + keys.count - queries.count,
              .found = true};
    }
    if (any_lane(here)) return;
    rank -= shuffle(before + tiles, kWarpSize - 1);
  }
}

/// Blocks of kKeys keys that a tile needs: [begin, end).
struct Blocks {
  int begin, end;
  WARPLOOP_DEVICE int count() const { return end > begin ? end - begin : 0; }
};
template <class S>
WARPLOOP_DEVICE Blocks blocks_of(const Tile& tile, const FlashAttentionParams& p) {
  const int beyond = p.causal ? std::min(tile.Lk, tile.position + tile.rows) : tile.Lk;  // keys [.., beyond)
  const int first = p.window > 0 ? std::max(0, tile.position - p.window + 1) : 0;
  return {first / S::kKeys, (beyond + S::kKeys - 1) / S::kKeys};
}

/// 2. One thread: fills the stages.
template <class S, class T>
WARPLOOP_DEVICE void produce(Plan<S, T>& plan, const CUtensorMap* q_map, const CUtensorMap* k_map,
                             const CUtensorMap* v_map, const Blocks& blocks, int head, int kv_head) {
  const Tile& tile = plan.tile;
  mbarrier_expect_bytes(plan.q_full, sizeof(plan.q));
#pragma unroll
  for (int c = 0; c < S::kDh / kPiece; c++) {
    tma_load<3>(plan.q + c * S::kRows * kPiece, q_map, plan.q_full, {c * kPiece, head, tile.first_row});
  }
  for (int i = 0; i < blocks.count(); i++) {
    const Stage stage = stage_of(i);
    const int key = tile.first_key + (blocks.end - 1 - i) * S::kKeys;
    T *k = plan.k[stage.index], *v = plan.v[stage.index];
    mbarrier_wait(plan.k_empty[stage.index], stage.parity ^ 1);
    mbarrier_expect_bytes(plan.k_full[stage.index], sizeof(plan.k[0]));
#pragma unroll
    for (int c = 0; c < S::kDh / kPiece; c++) {
      tma_load<3>(k + c * S::kKeys * kPiece, k_map, plan.k_full[stage.index], {c * kPiece, kv_head, key});
    }
    mbarrier_wait(plan.v_empty[stage.index], stage.parity ^ 1);
    mbarrier_expect_bytes(plan.v_full[stage.index], sizeof(plan.v[0]));
#pragma unroll
    for (int c = 0; c < S::kDv / kPiece; c++) {
      tma_load<3>(v + c * S::kKeys * kPiece, v_map, plan.v_full[stage.index], {c * kPiece, kv_head, key});
    }
  }
}

/// One consumer warpgroup: 64 queries of the tile. Thread l of warp w holds, of S and O, columns 8 j + 2 (l %
/// 4), + 1 of rows 16 w + l / 4 (half 0) and + 8 (half 1).
template <class S, class T>
struct Consumer {
  Plan<S, T>& plan;
  const Arguments& a;
  Blocks blocks;
  int index;  // of the warpgroup among the consumers
  int row;    // of half 0, in the tile
  float o[S::kDv / 2];
  float s[S::kKeys / 2];
  uint32_t probabilities[S::kKeys / 16][4];
  float highest[2], sum[2], alpha[2];

  WARPLOOP_DEVICE int first_key_of(int i) const { return (blocks.end - 1 - i) * S::kKeys; }

  /// Issues S = Q K^T of block i.
  WARPLOOP_DEVICE void multiply_keys(int i) {
    const Stage stage = stage_of(i);
    mbarrier_wait(plan.k_full[stage.index], stage.parity);
    register_fence(s);
    wgmma_fence();
    const uint32_t q = shared_address(plan.q) + index * kWarpgroupRows * kPieceBytes,
                   k = shared_address(plan.k[stage.index]);
#pragma unroll
    for (int step = 0; step < S::kDh / 16; step++) {
      const uint32_t within = step % 4 * 32;
      const uint64_t left = matrix_descriptor(q + step / 4 * S::kRows * kPieceBytes + within, 16,
                                              8 * kPieceBytes, Swizzle::b128);
      const uint64_t right = matrix_descriptor(k + step / 4 * S::kKeys * kPieceBytes + within, 16,
                                               8 * kPieceBytes, Swizzle::b128);
      wgmma<T, S::kKeys, false, false>(s, left, right, step > 0);
    }
    wgmma_commit();
  }

  /// Issues O += P V of block i.
  WARPLOOP_DEVICE void multiply_values(int i) {
    const Stage stage = stage_of(i);
    mbarrier_wait(plan.v_full[stage.index], stage.parity);
    register_fence(o);
    register_fence(probabilities);
    wgmma_fence();
    const uint32_t v = shared_address(plan.v[stage.index]);
#pragma unroll
    for (int step = 0; step < S::kKeys / 16; step++) {
      const uint64_t right = matrix_descriptor(v + step * 16 * kPieceBytes, S::kKeys * kPieceBytes,
                                               8 * kPieceBytes, Swizzle::b128);
      wgmma_registers<T, S::kDv, true>(o, probabilities[step], right, true);
    }
    wgmma_commit();
  }

  /// Waits for S. `kPending`: groups issued after it.
  template <int kPending>
  WARPLOOP_DEVICE void finish_keys() {
    wgmma_wait<kPending>();
    register_fence(s);
  }
  /// Waits for O, the last group.
  WARPLOOP_DEVICE void finish_values() {
    wgmma_wait<0>();
    register_fence(o);
    register_fence(probabilities);
  }

  /// The first block may end beyond the sequence: what lies there belongs to others and may be NaN. All
  /// consumers meet here, so it comes before the turns.
  WARPLOOP_DEVICE void zero_tail() {
    const int rows = plan.tile.Lk - first_key_of(0);
    if (rows >= S::kKeys) return;
    mbarrier_wait(plan.v_full[0], 0);
    constexpr int kPieces = S::kDv / kPiece, kVectors = kPieceBytes / 16,
                  kThreads = kWarpgroup * S::kConsumers;
    auto* v = reinterpret_cast<unsigned char*>(plan.v[0]);
    const int count = (S::kKeys - rows) * kVectors;
    for (int at = static_cast<int>(threadIdx.x) - kWarpgroup; at < count * kPieces; at += kThreads) {
      store_16(v + (at / count * S::kKeys + rows) * kPieceBytes + at % count * 16, uint4{0, 0, 0, 0});
    }
    fence_async_shared();
    barrier_sync<kTailZeroed>(kThreads);
  }

  WARPLOOP_DEVICE void release(Mbarrier& empty) {
    if (lane_index() == 0) mbarrier_arrive(empty);
  }

  /// -inf where a query does not see a key. Most blocks are seen whole.
  WARPLOOP_DEVICE void mask(int i) {
    const FlashAttentionParams& p = a.p;
    const int key = first_key_of(i), position = plan.tile.position + index * kWarpgroupRows;
    const bool whole = key + S::kKeys <= plan.tile.Lk && !(p.causal && key + S::kKeys - 1 > position) &&
                       !(p.window > 0 && key <= position + kWarpgroupRows - 1 - p.window);
    if (whole) return;
    const int column = key + lane_index() % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int mine = plan.tile.position + row + 8 * half;
      // Columns [low, high) of this lane are seen.
      const int high = (p.causal ? std::min(plan.tile.Lk, mine + 1) : plan.tile.Lk) - column,
                low = p.window > 0 ? mine - p.window + 1 - column : INT_MIN;
#pragma unroll
      for (int at = 2 * half; at < S::kKeys / 2; at += 4) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          const int j = at / 4 * 8 + e;
          s[at + e] = (j < high) & (j >= low) ? s[at + e] : -INFINITY;  // a select: no branch per element
        }
      }
    }
  }

  /// s becomes exp(scale * (s - highest)); alpha is what O and the sum have to be multiplied with.
  WARPLOOP_DEVICE void softmax() {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float best = highest[half];
#pragma unroll
      for (int j = 0; j < S::kKeys / 8; j++)
        best = fmaxf(best, fmaxf(s[4 * j + 2 * half], s[4 * j + 2 * half + 1]));
      best = max_lanes<4>(best);
      const float base = best == -INFINITY ? 0.0f : best * a.scale_log2;  // -inf - -inf would be NaN
      alpha[half] = exp2_fast(highest[half] * a.scale_log2 - base);
      highest[half] = best;
      float total = 0;
#pragma unroll
      for (int j = 0; j < S::kKeys / 8; j++) {
#pragma unroll
        for (int at = 4 * j + 2 * half; at < 4 * j + 2 * half + 2; at++) {
          s[at] = exp2_fast(s[at] * a.scale_log2 - base);
          total += s[at];
        }
      }
      sum[half] = sum[half] * alpha[half] + total;
    }
  }

  /// P = s in the form of an A operand.
  WARPLOOP_DEVICE void round_probabilities() {
#pragma unroll
    for (int step = 0; step < S::kKeys / 16; step++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        probabilities[step][i] = pack_pair<T>(s[8 * step + 2 * i], s[8 * step + 2 * i + 1]);
      }
    }
  }

  WARPLOOP_DEVICE void rescale() {
#pragma unroll
    for (int at = 0; at < S::kDv / 2; at++) o[at] *= alpha[at / 2 % 2];
  }

  // Two consumers alternate: a turn lasts from issuing S to issuing O.
  WARPLOOP_DEVICE void take_turn() {
    if constexpr (S::kConsumers == 2) {
      if (index == 0) {
        barrier_sync<kFirstTurn>(2 * kWarpgroup);
      } else {
        barrier_sync<kSecondTurn>(2 * kWarpgroup);
      }
    }
  }
  WARPLOOP_DEVICE void give_turn(bool first_waits) {
    if constexpr (S::kConsumers == 2) {
      if (index == 0) {
        barrier_arrive<kSecondTurn>(2 * kWarpgroup);
      } else if (first_waits) {
        barrier_arrive<kFirstTurn>(2 * kWarpgroup);
      }
    }
  }

  /// 3.
  WARPLOOP_DEVICE void consume() {
    const int count = blocks.count();
    mbarrier_wait(plan.q_full, 0);
    multiply_keys(0);
    finish_keys<0>();
    release(plan.k_empty[0]);
    mask(0);
    softmax();
    round_probabilities();
    zero_tail();
    if (index == 1) give_turn(count > 1);
    for (int i = 1; i < count; i++) {
      take_turn();
      multiply_keys(i);
      multiply_values(i - 1);
      give_turn(i + 1 < count);
      finish_keys<1>();
      release(plan.k_empty[stage_of(i).index]);
      mask(i);
      softmax();
      // Due at the next turn anyway. Nothing ties the exponentials to this place: without a branch ptxas
      // would wait for O above them, and they would not overlap with it.
      if (i + 1 < count) mbarrier_wait(plan.k_full[stage_of(i + 1).index], stage_of(i + 1).parity);
      finish_values();
      release(plan.v_empty[stage_of(i - 1).index]);
      rescale();
      round_probabilities();
    }
    multiply_values(count - 1);
    finish_values();
  }

  /// 4. Each warp moves its own 16 rows, through the rows of Q that only it has read.
  WARPLOOP_DEVICE void write(int head) {
    const int warp_row = row - lane_index() / 4;
    const uint32_t tile = shared_address(plan.q) + warp_row * kPieceBytes;
    float scale[2];
    uint32_t spoilt[2];  // lanes of rows with hidden values in their sums
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float zero = 0;  // NaN as soon as a sum is none or infinite
#pragma unroll
      for (int at = 2 * half; at < S::kDv / 2; at += 4) zero = fmaf(o[at], 0.0f, fmaf(o[at + 1], 0.0f, zero));
      const float total = sum_lanes<4>(sum[half]);
      const bool blind = total == 0;  // no key was seen; a NaN is none
      scale[half] = blind ? 0.0f : 1.0f / total;
      const int mine = row + 8 * half;
      if (a.p.lse && lane_index() % 4 == 0 && mine < plan.tile.rows) {
        const float lse = blind ? -INFINITY : highest[half] * a.scale_log2 * kLn2 + logf(total);
        a.p.lse.template as<float>()[(plan.tile.first_row + mine) * a.p.lse.stride(0) +
                                     head * a.p.lse.stride(1)] = lse;
      }
      spoilt[half] = ballot(mine < plan.tile.rows && !is_finite(zero) && is_finite(total));
    }
    const int to_row = lane_index() / 8 % 2 * 8 + lane_index() % 8;  // of the matrix this lane addresses
#pragma unroll
    for (int j = 0; j < S::kDv / 8; j += 2) {
      uint32_t pairs[4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int at = 4 * j + 2 * i;
        pairs[i] = pack_pair<T>(o[at] * scale[i % 2], o[at + 1] * scale[i % 2]);
      }
      const int column = j + lane_index() / 16;  // of 16 bytes
      const uint32_t offset = swizzled(Swizzle::b128, to_row * kPieceBytes + column % 8 * 16);
      store_matrix_x4(tile + column / 8 * S::kRows * kPieceBytes + offset, pairs);
    }
    sync_warp();
    const auto* from = reinterpret_cast<const unsigned char*>(plan.q) + warp_row * kPieceBytes;
    T* out = a.p.out.template as<T>() + head * a.p.out.stride(1);
    constexpr int kVectors = S::kDv / 8;
    for (int at = lane_index(); at < 16 * kVectors; at += kWarpSize) {
      const int r = at / kVectors, column = at % kVectors;
      if (warp_row + r >= plan.tile.rows) continue;
      const uint32_t offset = swizzled(Swizzle::b128, r * kPieceBytes + column % 8 * 16);
      const uint4 value = load_16(from + column / 8 * S::kRows * kPieceBytes + offset);
      store_16(out + (plan.tile.first_row + warp_row + r) * a.p.out.stride(0) + column * 8, value);
    }
    if ((spoilt[0] | spoilt[1]) != 0) mend(head, spoilt, scale);
  }

  WARPLOOP_DEVICE void mend(int head, const uint32_t (&spoilt)[2], const float (&scale)[2]) {
    sync_warp();  // the result has been written by other lanes
#pragma unroll 1
    for (int r = 0; r < 16; r++) {
      const int half = r / 8, lane = r % 8 * 4;
      if (!((half ? spoilt[1] : spoilt[0]) >> lane & 15u)) continue;
      const float best = shuffle(half ? highest[1] : highest[0], lane),
                  factor = shuffle(half ? scale[1] : scale[0], lane);
      mend_row(head, row - lane_index() / 4 + r, best, factor);
    }
  }
  WARPLOOP_DEVICE void mend_row(int head, int mine, float best, float factor) const {
    const FlashAttentionParams& p = a.p;
    const Tile& tile = plan.tile;
    const int position = tile.position + mine, kv_head = head / static_cast<int>(p.q.size(1) / p.k.size(1));
    const int end = p.causal ? std::min(position + 1, tile.Lk) : tile.Lk,
              begin = p.window > 0 ? std::max(position - p.window + 1, 0) : 0;
    const T* k = p.k.template as<T>() + tile.first_key * p.k.stride(0) + kv_head * p.k.stride(1);
    const T* v = p.v.template as<T>() + tile.first_key * p.v.stride(0) + kv_head * p.v.stride(1);
    const int64_t query = tile.first_row + mine;
    T* out = p.out.template as<T>() + query * p.out.stride(0) + head * p.out.stride(1);
    sum_seen_values(
        p.q.template as<T>() + query * p.q.stride(0) + head * p.q.stride(1), S::kDh, a.scale_log2,
        best == -INFINITY ? 0.0f : best * a.scale_log2, begin, end, 0, S::kDv,
        [&](int j) { return k + j * p.k.stride(0); }, [&](int j) { return v + j * p.v.stride(0); },
        [&](int column, float sum) { out[column] = from_float<T>(sum * factor); });
  }
};

template <class S, class T>
__global__ void __launch_bounds__(S::kThreads, 1)
    flash_attention_sm90_kernel(const __grid_constant__ Arguments a,
                                const __grid_constant__ CUtensorMap q_map,
                                const __grid_constant__ CUtensorMap k_map,
                                const __grid_constant__ CUtensorMap v_map) {
  wait_for_predecessors();
  auto& plan = shared_plan<Plan<S, T>>();
  const int Hq = static_cast<int>(a.p.q.size(1)), head = static_cast<int>(blockIdx.x) % Hq;
  const int warpgroup = warp_index() / 4;
  if (warp_index() == 0) find_tile<S>(a, static_cast<int>(blockIdx.x) / Hq, plan.tile);
  if (threadIdx.x == kWarpSize) {
    mbarrier_init(plan.q_full, 1);
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(plan.k_full[i], 1);
      mbarrier_init(plan.v_full[i], 1);
      mbarrier_init(plan.k_empty[i], 4 * S::kConsumers);  // one arrival per consumer warp
      mbarrier_init(plan.v_empty[i], 4 * S::kConsumers);
    }
    fence_mbarrier_init();
  }
  sync_block();
  if (!plan.tile.found) return;
  const Blocks blocks = blocks_of<S>(plan.tile, a.p);
  if (warpgroup == 0) {
    set_registers_down<S::kProducerRegisters>();
    if (warp_index() == 0 && blocks.count() > 0 && elect_one()) {
      const int kv_head = head / (Hq / static_cast<int>(a.p.k.size(1)));
      produce<S, T>(plan, &q_map, &k_map, &v_map, blocks, head, kv_head);
    }
  } else {
    set_registers_up<S::kConsumerRegisters>();
    const int index = warpgroup - 1;
    const int row = index * kWarpgroupRows + warp_index() % 4 * 16 + lane_index() / 4;
    Consumer<S, T> consumer{plan, a, blocks, index, row};
#pragma unroll
    for (int i = 0; i < S::kDv / 2; i++) consumer.o[i] = 0;
#pragma unroll
    for (int half = 0; half < 2; half++) consumer.highest[half] = -INFINITY, consumer.sum[half] = 0;
    if (blocks.count() > 0) consumer.consume();
    consumer.write(head);
  }
}

/// encode(...) of [T, H, D] as boxes of `rows` rows of one head and 64 columns.
template <class Encode>
auto with_map(const TensorView& t, int rows, const Encode& encode) {
  const auto stride = [&](int axis) {  // of one row it means nothing
    return static_cast<uint64_t>(2 * (t.size(axis) > 1 ? t.stride(axis) : t.size(2)));
  };
  const uint64_t sizes[] = {static_cast<uint64_t>(t.size(2)), static_cast<uint64_t>(t.size(1)),
                            static_cast<uint64_t>(t.size(0))};
  const uint64_t strides[] = {stride(1), stride(0)};
  const uint32_t box[] = {kPiece, 1, static_cast<uint32_t>(rows)};
  return encode(t.dtype, 3, t.data, sizes, strides, box, Swizzle::b128);
}
CUtensorMap map_of(const TensorView& t, int rows) { return with_map(t, rows, encode_tensor_map); }
bool has_map(const TensorView& t) { return with_map(t, kWarpgroupRows, can_encode_tensor_map); }

template <class S, class T>
void start(const FlashAttentionParams& p, CudaContext& context) {
  const int64_t T_ = p.q.size(0), B = p.cu_seqlens_q ? p.cu_seqlens_q.size(0) - 1 : 1;
  const int64_t most_tiles =
      (T_ + S::kRows - 1) / S::kRows + B - 1;  // every sequence may end with a part of a tile
  const auto site = [&](const char* text) { return context.fault_site(OpId::flash_attention, text); };
  Arguments a{p, site("cuSeqlens[{index}..] is no range within [0, {limit}): {value}"),
              site("the sequences have {value} queries, q has {limit}"), p.scale * kLog2E};
  a.p.window = std::min(p.window, 1 << 30);  // no sequence is longer; sums with it stay in range
  launch<flash_attention_sm90_kernel<S, T>>(context,
                                            {.grid = dim3(static_cast<unsigned>(most_tiles * p.q.size(1))),
                                             .threads = S::kThreads,
                                             .shared_bytes = sizeof(Plan<S, T>)},
                                            a, map_of(p.q, S::kRows), map_of(p.k, S::kKeys),
                                            map_of(p.v, S::kKeys));
}

bool aligned(const TensorView& t) {
  return reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && t.stride(0) % 8 == 0 && t.stride(1) % 8 == 0;
}

}  // namespace

const char* refuse_flash_attention_sm90(const FlashAttentionParams& p, const CudaContext& context) {
  const int64_t Dh = p.q.size(2), Dv = p.v.size(2);
  if (context.compute_capability != 90) return "the device is not sm_90";
  if (p.q.dtype == DType::f32) return "q is f32";
  if (p.k.dtype != p.q.dtype || p.out.dtype != p.q.dtype) return "q, k, v and out differ in dtype";
  if (!((Dh == Dv && (Dh == 64 || Dh == 128 || Dh == 256)) || (Dh == 192 && Dv == 128))) {
    return "(Dh, Dv) is none of (64, 64), (128, 128), (192, 128), (256, 256)";
  }
  if (!(p.scale > 0)) return "the scale is not positive";
  if (p.q.size(0) == 0 || p.k.size(0) == 0) return "there are no queries or no keys";
  if (!aligned(p.q) || !aligned(p.k) || !aligned(p.v) || !aligned(p.out))
    return "rows or heads are not aligned to 16 bytes";
  if (!has_map(p.q) || !has_map(p.k) || !has_map(p.v)) return "the driver makes no tensor map of q, k or v";
  return nullptr;
}

void flash_attention_sm90(const FlashAttentionParams& p, CudaContext& context) {
  const auto run = [&]<class T>(T) {
    if (p.q.size(2) == 64) return start<Shape<64, 64, 128, 3>, T>(p, context);
    if (p.q.size(2) == 128) return start<Shape<128, 128, 128, 2>, T>(p, context);
    if (p.q.size(2) == 192) return start<Shape<192, 128, 96, 2>, T>(p, context);
    return start<Shape<256, 256, 64, 2>, T>(p, context);
  };
  if (p.q.dtype == DType::bf16) return run(bf16{});
  run(f16{});
}

}  // namespace warploop::cuda
