// What:      a tile of x W^T on tensor cores (mma.sync m16n8k16, bf16 or f16), for 17 rows and more
// Steps:     1. find the tile and its rows
//            2. a ring of stages of 64 k in shared memory, filled by cp.async ahead of ldmatrix and mma
//            3. sums to shared memory, splits, epilogue (finish.cuh)
// Mapping:   grid = splits x tiles (row_tiles.cuh), block = the warps of TileShape, each with a tile of
//            kWarpRows x kWarpColumns. A thread copies one 16-byte piece of a row per pass
// Resources: shared = stages of (rows + columns) x 128 bytes, at most 96 KiB: sm_86 and sm_89 have 99
// Cost:      2 M N K flop; compute-bound for many rows, else N K weight bytes
// Numerics:  f32 accumulators; the order over k depends on the tile and the splits, not on the run
// Limits:    kAligned: K, the row strides and the bases are multiples of 16 bytes; else single elements are
//            copied, through registers
// Source:    multistage pipeline and swizzled ldmatrix as in CUTLASS's sm_80 mainloop
//            (https://github.com/NVIDIA/cutlass, media/docs/cpp/efficient_gemm.md)
#pragma once
#include "cuda/device/async_copy.cuh"
#include "cuda/device/mma.cuh"
#include "cuda/device/predecessors.cuh"
#include "cuda/gemm/finish.cuh"

namespace warploop::cuda {

template <int kRows_, int kColumns_, int kWarpRows_, int kWarpColumns_, int kStages_, int kBlocks_>
struct TileShape {
  static constexpr int kRows = kRows_, kColumns = kColumns_, kWarpRows = kWarpRows_,
                       kWarpColumns = kWarpColumns_;
  static constexpr int kStages = kStages_, kBlocks = kBlocks_;  // blocks per SM that an H200 holds
  static constexpr int kDepth = 64;                             // k per stage: rows of 128 bytes
  static constexpr int kPieces = kDepth / 8;                    // of 16 bytes in such a row
  static constexpr int kThreads = kRows / kWarpRows * (kColumns / kWarpColumns) * kWarpSize;
  static constexpr int kMinSteps = 2;  // a split has at least so many
  static constexpr int kStepDepth = kDepth;
  using Sums = SumsLayout<kRows, kColumns, kColumns + 8, 1>;  // + 8: fragments fall into all banks
};

template <class Shape>
struct TilePlan {
  struct Stage {
    uint16_t x[Shape::kRows * Shape::kDepth];
    uint16_t w[Shape::kColumns * Shape::kDepth];
  };
  union {
    alignas(128) Stage stages[Shape::kStages];
    float sums[Shape::kRows * Shape::Sums::kStride];
  };
  bool is_last;
};

/// Where piece `piece` of row `row` lies, in elements: the pieces of eight rows of one k fall into all banks.
constexpr int swizzled(int row, int piece) { return row * 64 + (piece ^ (row & 7)) * 8; }

/// Copies k [k, k + 8) of a row, zeros where there is none.
template <bool kAligned>
WARPLOOP_DEVICE void copy_piece(uint16_t* shared, const uint16_t* row, bool exists, int k, int K) {
  if constexpr (kAligned) {
    copy_async_16(shared_address(shared), row + k, exists && k < K);
  } else {
    uint32_t bits[8];
#pragma unroll
    for (int i = 0; i < 8; i++) bits[i] = exists && k + i < K ? row[k + i] : 0u;
    store_16(shared, {bits[0] | bits[1] << 16, bits[2] | bits[3] << 16, bits[4] | bits[5] << 16,
                      bits[6] | bits[7] << 16});
  }
}

/// The kCount rows of x, kApart apart in the tile, that one thread copies: neighbours in x, which share a
/// pointer and the stride, or with groups wherever their order says.
template <bool kGrouped, int kCount, int kApart>
struct RowsOfX {
  const uint16_t* first;
  int64_t left;  // rows of the tile from this thread's first on

  WARPLOOP_DEVICE RowsOfX(const Product& p, const RowBlock& rows, int row)
      : first(head_of_x<uint16_t>(p)), left(rows.count - row) {
    if (left > 0) first += source_row<kGrouped>(p, rows, row) * p.x_stride;
  }
  WARPLOOP_DEVICE bool exists(int i) const { return i * kApart < left; }
  WARPLOOP_DEVICE const uint16_t* row(const Product& p, int i) const {
    return first + i * kApart * p.x_stride;
  }
};
template <int kCount, int kApart>
struct RowsOfX<true, kCount, kApart> {
  const uint16_t* rows[kCount];
  bool are_there[kCount];

  WARPLOOP_DEVICE RowsOfX(const Product& p, const RowBlock& block, int first) {
#pragma unroll
    for (int i = 0; i < kCount; i++) {
      const int64_t row = source_row<true>(p, block, first + i * kApart);
      are_there[i] = row >= 0;
      rows[i] = head_of_x<uint16_t>(p) + (row >= 0 ? row * p.x_stride : 0);
    }
  }
  WARPLOOP_DEVICE bool exists(int i) const { return are_there[i]; }
  WARPLOOP_DEVICE const uint16_t* row(const Product&, int i) const { return rows[i]; }
};

/// The rows of both operands that one thread copies.
template <class Shape, bool kGrouped, bool kAligned>
struct TileLoader {
  static constexpr int kRowsPerPass = Shape::kThreads / Shape::kPieces;
  static constexpr int kXPasses = Shape::kRows / kRowsPerPass, kWPasses = Shape::kColumns / kRowsPerPass;
  static_assert(kXPasses * kRowsPerPass == Shape::kRows && kWPasses * kRowsPerPass == Shape::kColumns);

  const RowsOfX<kGrouped, kXPasses, kRowsPerPass> x;
  const int64_t w_left;  // rows of the weight from this thread's first on
  const uint16_t* const w;

  WARPLOOP_DEVICE TileLoader(const Product& p, const RowBlock& rows, int64_t first_column)
      : x(p, rows, first_row()),
        w_left(p.weight_rows - first_column - first_row()),
        w(static_cast<const uint16_t*>(p.weight) +
          (rows.group * p.weight_rows + (w_left > 0 ? first_column + first_row() : 0)) * p.padded_K) {}

  WARPLOOP_DEVICE void load(typename TilePlan<Shape>::Stage& stage, const Product& p, int step) const {
    const int k = step * Shape::kDepth + piece() * 8;
#pragma unroll
    for (int pass = 0; pass < kXPasses; pass++) {
      copy_piece<kAligned>(stage.x + swizzled(pass * kRowsPerPass + first_row(), piece()), x.row(p, pass),
                           x.exists(pass), k, p.K);
    }
#pragma unroll
    for (int pass = 0; pass < kWPasses; pass++) {
      copy_piece<kAligned>(stage.w + swizzled(pass * kRowsPerPass + first_row(), piece()),
                           w + static_cast<int64_t>(pass) * kRowsPerPass * p.padded_K,
                           pass * kRowsPerPass < w_left, k, p.padded_K);
    }
  }

  static WARPLOOP_DEVICE int first_row() { return static_cast<int>(threadIdx.x) / Shape::kPieces; }
  static WARPLOOP_DEVICE int piece() { return static_cast<int>(threadIdx.x) % Shape::kPieces; }
};

/// The fragments and sums of one warp.
template <class T, class Shape>
struct TileProduct {
  static constexpr int kMs = Shape::kWarpRows / 16, kNs = Shape::kWarpColumns / 16;  // 16 x 16 pieces

  struct Fragments {
    uint32_t x[kMs][4], w[kNs][4];
  };
  float sums[kMs][kNs * 2][4] = {};

  static WARPLOOP_DEVICE int first_row() {
    return warp_index() % (Shape::kRows / Shape::kWarpRows) * Shape::kWarpRows;
  }
  static WARPLOOP_DEVICE int first_column() {
    return warp_index() / (Shape::kRows / Shape::kWarpRows) * Shape::kWarpColumns;
  }

  /// Both operands of the 16 k from 16 * `part` of a stage on.
  static WARPLOOP_DEVICE void load(Fragments& f, const typename TilePlan<Shape>::Stage& stage, int part) {
    const int lane = lane_index();
#pragma unroll
    for (int m = 0; m < kMs; m++) {
      const int row = first_row() + m * 16 + lane % 16;
      load_matrix_x4(f.x[m], shared_address(stage.x + swizzled(row, part * 2 + lane / 16)));
    }
#pragma unroll
    for (int n = 0; n < kNs; n++) {
      const int row = first_column() + n * 16 + lane / 16 * 8 + lane % 8;
      load_matrix_x4(f.w[n], shared_address(stage.w + swizzled(row, part * 2 + lane / 8 % 2)));
    }
  }

  WARPLOOP_DEVICE void multiply(const Fragments& f) {
#pragma unroll
    for (int m = 0; m < kMs; m++) {
#pragma unroll
      for (int n = 0; n < kNs; n++) {
        mma_m16n8k16<T>(sums[m][2 * n], f.x[m], f.w[n][0], f.w[n][1]);
        mma_m16n8k16<T>(sums[m][2 * n + 1], f.x[m], f.w[n][2], f.w[n][3]);
      }
    }
  }

  WARPLOOP_DEVICE void multiply_stage(const typename TilePlan<Shape>::Stage& stage) {
    constexpr int kParts = Shape::kDepth / 16;
    Fragments fragments[2];
    load(fragments[0], stage, 0);
#pragma unroll
    for (int part = 0; part < kParts; part++) {
      if (part + 1 < kParts) load(fragments[(part + 1) % 2], stage, part + 1);
      multiply(fragments[part % 2]);
    }
  }

  WARPLOOP_DEVICE void store(float* out) const {
    const int lane = lane_index();
#pragma unroll
    for (int m = 0; m < kMs; m++) {
#pragma unroll
      for (int n = 0; n < kNs * 2; n++) {
        float* at = out + (first_row() + m * 16 + lane / 4) * Shape::Sums::kStride + first_column() + n * 8 +
                    lane % 4 * 2;
        *reinterpret_cast<float2*>(at) = {sums[m][n][0], sums[m][n][1]};
        *reinterpret_cast<float2*>(at + 8 * Shape::Sums::kStride) = {sums[m][n][2], sums[m][n][3]};
      }
    }
  }
};

template <class T, class Shape, bool kGrouped, bool kAligned>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    multiply_tiles(const __grid_constant__ Product p) {
  wait_for_predecessors();
  auto& plan = shared_plan<TilePlan<Shape>>();
  // 1. the tile
  if constexpr (kGrouped) check_groups(p);
  const TilePlace at = tile_place(p);
  const RowBlock rows = find_rows<kGrouped, Shape::kRows>(p, at.row);
  if (rows.count == 0) return;  // beyond the last group's rows
  const int64_t first_column = static_cast<int64_t>(at.column) * Shape::kColumns;
  const Steps steps = split_steps((p.padded_K + Shape::kDepth - 1) / Shape::kDepth, p, at);

  // 2. the product
  const TileLoader<Shape, kGrouped, kAligned> loader(p, rows, first_column);
#pragma unroll
  for (int step = 0; step < Shape::kStages - 1; step++) {
    if (step < steps.count) loader.load(plan.stages[step], p, steps.begin + step);
    copy_async_commit();
  }
  TileProduct<T, Shape> product;
  for (int step = 0; step < steps.count; step++) {
    copy_async_wait<Shape::kStages - 2>();
    sync_block();  // stage `step` is there, and all are done with the one before, which is filled next
    const int next = step + Shape::kStages - 1;
    if (next < steps.count) loader.load(plan.stages[next % Shape::kStages], p, steps.begin + next);
    copy_async_commit();
    product.multiply_stage(plan.stages[step % Shape::kStages]);
  }
  sync_block();

  // 3. the result
  product.store(plan.sums);
  sync_block();
  finish_tile<typename Shape::Sums, Shape::kThreads>(p, at, rows, first_column, plan.sums, plan.is_last);
}

}  // namespace warploop::cuda
