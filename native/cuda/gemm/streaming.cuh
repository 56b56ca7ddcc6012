// What:      x W^T for up to 16 rows of x: the weights cross the memory bus once, at its speed; nothing else
//            matters
// Steps:     1. the first stages of the weights on their way into L2 while the kernel before still runs
//            2. find the rows
//            3. every lane runs its own ring of 16-byte cp.async copies, without a barrier. The weights are
//               the A operand of mma (16 weight rows), the rows of x are B (8 columns)
//            4. the warps' sums side by side in shared memory, splits, epilogue (finish.cuh)
// Mapping:   grid = splits x tiles, block = kWarps warps that take turns at chunks of 32 k, all with the same
//            kColumns weight rows and kRows rows of x. Lane (g, t) copies k [8t, 8t + 8) of rows g, g + 8,
//            ... That is what two steps of mma want of it if k is counted in another order, the same for both
//            operands; a sum does not mind
// Resources: in flight per SM: kBlocks x (kStages - 1) x kWarps x kColumns x 64 bytes of weights, 96 to
//            128 KiB on an H200
// Cost:      N K weight bytes; x comes from L2, kRows / kColumns of that
// Numerics:  f32 accumulators; the order over k depends on the splits, not on the run
// Limits:    as kAligned in tiles.cuh
#pragma once
#include "cuda/device/async_copy.cuh"
#include "cuda/device/mma.cuh"
#include "cuda/device/predecessors.cuh"
#include "cuda/gemm/finish.cuh"

namespace warploop::cuda {

template <int kRows_, int kColumns_, int kWarps_, int kStages_, int kBlocks_>
struct StreamShape {
  static constexpr int kRows = kRows_, kColumns = kColumns_, kWarps = kWarps_, kStages = kStages_;
  static constexpr int kBlocks = kBlocks_;  // per SM that an H200 holds
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kChunk = 32;  // k of a warp per stage: 64 bytes of each row
  static constexpr int kStepDepth = kChunk * kWarps;
  static constexpr int kMinSteps = 1;
  // Pieces of a lane per stage.
  static constexpr int kWeights = kColumns / 8, kXs = kRows / 8, kSlots = kWeights + kXs;
  using Sums = SumsLayout<kRows, kColumns, kColumns + 4, kWarps>;  // + 4: a fragment falls into all banks
};

template <class Shape>
struct StreamPlan {
  union {
    alignas(128) uint4 ring[Shape::kStages][Shape::kWarps][Shape::kSlots][kWarpSize];
    float sums[Shape::kWarps][Shape::kRows * Shape::Sums::kStride];
  };
  bool is_last;
};

/// Where in K the calling warp's chunk of a step begins.
template <class Shape>
WARPLOOP_DEVICE int stream_chunk(const Steps& steps, int step) {
  return ((steps.begin + step) * Shape::kWarps + warp_index()) * Shape::kChunk;
}

/// The weights that the ring is filled with first, into L2.
template <class Shape>
WARPLOOP_DEVICE void prefetch_weight(const Product& p, int64_t first_column, const Steps& steps) {
  const int lane = lane_index();
  const auto* row = static_cast<const uint16_t*>(p.weight) +
                    (head_index() * p.weight_rows + first_column + lane / 4) * p.padded_K;
  const auto panels = static_cast<int>((p.weight_rows - first_column) / 16);
#pragma unroll 1
  for (int step = 0; step < Shape::kStages - 1 && step < steps.count; step++) {
    const int k = stream_chunk<Shape>(steps, step) + lane % 4 * 8;
#pragma unroll
    for (int i = 0; i < Shape::kWeights; i++) {
      if (k < p.K && i / 2 < panels) prefetch_l2(row + static_cast<int64_t>(i) * 8 * p.padded_K + k);
    }
  }
}

/// What one lane copies.
template <class Shape>
struct StreamLoader {
  const uint16_t* x[Shape::kXs];
  bool x_exists[Shape::kXs];
  const uint16_t* w;
  int panels_left;  // 16-row panels of the weight from the block's first on

  template <bool kGrouped>
  WARPLOOP_DEVICE void start(const Product& p, const RowBlock& rows, int64_t first_column) {
    const int g = lane_index() / 4;
#pragma unroll
    for (int i = 0; i < Shape::kXs; i++) {
      const int64_t row = source_row<kGrouped>(p, rows, i * 8 + g);
      x_exists[i] = row >= 0;
      x[i] = head_of_x<uint16_t>(p) + (row >= 0 ? row * p.x_stride : 0);
    }
    panels_left = static_cast<int>((p.weight_rows - first_column) / 16);
    w = static_cast<const uint16_t*>(p.weight) + (rows.group * p.weight_rows + first_column + g) * p.padded_K;
  }

  /// Copies the warp's chunk that starts at k = `chunk`; zeros for k >= K.
  WARPLOOP_DEVICE void load(uint4 (&slots)[Shape::kSlots][kWarpSize], const Product& p, int chunk) const {
    const int lane = lane_index(), k = chunk + lane % 4 * 8;
#pragma unroll
    for (int i = 0; i < Shape::kWeights; i++) {
      copy_async_16(shared_address(&slots[i][lane]), w + static_cast<int64_t>(i) * 8 * p.padded_K + k,
                    k < p.K && i / 2 < panels_left);
    }
#pragma unroll
    for (int i = 0; i < Shape::kXs; i++) {
      copy_async_16(shared_address(&slots[Shape::kWeights + i][lane]), x[i] + k, k < p.K && x_exists[i]);
    }
  }
};

/// The sums of one warp: kColumns weight rows times kRows rows of x.
template <class T, class Shape>
struct StreamProduct {
  float sums[Shape::kColumns / 16][Shape::kXs][4] = {};

  WARPLOOP_DEVICE void multiply(const uint4 (&slots)[Shape::kSlots][kWarpSize]) {
    const int lane = lane_index();
    uint4 x[Shape::kXs];
#pragma unroll
    for (int i = 0; i < Shape::kXs; i++) x[i] = slots[Shape::kWeights + i][lane];
#pragma unroll
    for (int m = 0; m < Shape::kColumns / 16; m++) {
      const uint4 low = slots[2 * m][lane], high = slots[2 * m + 1][lane];
      const uint32_t first[4] = {low.x, high.x, low.y, high.y}, second[4] = {low.z, high.z, low.w, high.w};
#pragma unroll
      for (int i = 0; i < Shape::kXs; i++) {
        mma_m16n8k16<T>(sums[m][i], first, x[i].x, x[i].y);
        mma_m16n8k16<T>(sums[m][i], second, x[i].z, x[i].w);
      }
    }
  }
};

/// A warp's fragments of sums, kColumns weight rows times kRows rows of x, to shared memory as rows of out.
template <class Shape>
WARPLOOP_DEVICE void store_fragments(const float (&sums)[Shape::kColumns / 16][Shape::kXs][4], float* out) {
  const int g = lane_index() / 4, t = lane_index() % 4;
#pragma unroll
  for (int m = 0; m < Shape::kColumns / 16; m++) {
#pragma unroll
    for (int i = 0; i < Shape::kXs; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        out[(i * 8 + 2 * t + j % 2) * Shape::Sums::kStride + m * 16 + j / 2 * 8 + g] = sums[m][i][j];
      }
    }
  }
}

template <class T, class Shape, bool kGrouped>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    multiply_streaming(const __grid_constant__ Product p) {
  auto& plan = shared_plan<StreamPlan<Shape>>();
  const TilePlace at = tile_place(p);
  const int64_t first_column = static_cast<int64_t>(at.column) * Shape::kColumns;
  const Steps steps = split_steps((p.K + Shape::kStepDepth - 1) / Shape::kStepDepth, p, at);
  // 1. the weight; of groups only a kernel before says which
  if constexpr (!kGrouped) prefetch_weight<Shape>(p, first_column, steps);
  wait_for_predecessors();
  // 2. the rows
  if constexpr (kGrouped) check_groups(p);
  const RowBlock rows = find_rows<kGrouped, Shape::kRows>(p, at.row);
  if (rows.count == 0) return;  // beyond the last group's rows

  // 3. the product
  const int warp = warp_index();
  StreamLoader<Shape> loader;
  loader.template start<kGrouped>(p, rows, first_column);
  const auto chunk_of = [&](int step) { return stream_chunk<Shape>(steps, step); };
#pragma unroll
  for (int step = 0; step < Shape::kStages - 1; step++) {
    if (step < steps.count) loader.load(plan.ring[step][warp], p, chunk_of(step));
    copy_async_commit();
  }
  StreamProduct<T, Shape> product;
  int stage = 0, last_stage = Shape::kStages - 1;  // the one before `stage`, which is filled next
  for (int step = 0; step < steps.count; step++) {
    copy_async_wait<Shape::kStages - 2>();  // a lane reads what it copied itself: nobody else to wait for
    const int next = step + Shape::kStages - 1;
    if (next < steps.count) loader.load(plan.ring[last_stage][warp], p, chunk_of(next));
    copy_async_commit();
    product.multiply(plan.ring[stage][warp]);
    last_stage = stage;
    stage = stage + 1 == Shape::kStages ? 0 : stage + 1;
  }
  copy_async_wait<0>();
  sync_block();

  // 4. the result
  store_fragments<Shape>(product.sums, plan.sums[warp]);
  sync_block();
  finish_tile<typename Shape::Sums, Shape::kThreads>(p, at, rows, first_column, plan.sums[0], plan.is_last);
}

}  // namespace warploop::cuda
