// What:      a tile of x W^T with f32 x, in f32: for f32 weights, and for narrow weights that must not
//            pull x down to them
// Steps:     1. find the tile
//            2. 32 k at a time: both operands through registers, converted, transposed into shared memory;
//               fused multiply-add
//            3. splits, epilogue (finish.cuh)
// Mapping:   grid = splits x tiles, block = 256 threads, each with kRows / 16 rows times 4 columns of a tile
//            of kRows x 64
// Cost:      2 M N K flop outside the tensor cores: the exact path, not the fast one
// Numerics:  f32 in k order within a split
#pragma once
#include "cuda/device/predecessors.cuh"
#include "cuda/gemm/finish.cuh"

namespace warploop::cuda {

template <int kRows_>
struct FmaShape {
  static constexpr int kRows = kRows_, kColumns = 64, kDepth = 32, kThreads = 256;
  static constexpr int kStepDepth = kDepth, kMinSteps = 4, kBlocks = 2;
  static constexpr int kThreadRows = kRows / 16;
  using Sums = SumsLayout<kRows, kColumns, kColumns + 4, 1>;
};

template <class Shape>
struct FmaPlan {
  union {
    struct {
      // + 4: a warp's stores of 8 k x 4 rows fall into all banks
      alignas(16) float x[Shape::kDepth][Shape::kRows + 4];
      alignas(16) float w[Shape::kDepth][Shape::kColumns + 4];
    };
    float sums[Shape::kRows * Shape::Sums::kStride];
  };
  bool is_last;
};

/// Rows of one operand on their way to shared memory: eight lanes share a row, each with every eighth k.
template <class T, int kRows>
struct FmaLoader {
  static constexpr int kRowsPerPass = 32, kPasses = (kRows + kRowsPerPass - 1) / kRowsPerPass, kParts = 4;
  const T* rows[kPasses];  // null: no such row
  float values[kPasses][kParts];

  static WARPLOOP_DEVICE int row(int pass) { return pass * kRowsPerPass + static_cast<int>(threadIdx.x) / 8; }
  static WARPLOOP_DEVICE int depth(int part) { return part * 8 + static_cast<int>(threadIdx.x) % 8; }

  WARPLOOP_DEVICE void load(int k, int K) {
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
#pragma unroll
      for (int part = 0; part < kParts; part++) {
        const int at = k + depth(part);
        values[pass][part] = rows[pass] && at < K ? to_float(rows[pass][at]) : 0.0f;
      }
    }
  }
  WARPLOOP_DEVICE void store(float (*shared)[kRows + 4]) const {
#pragma unroll
    for (int pass = 0; pass < kPasses; pass++) {
      if (kRows % kRowsPerPass != 0 && row(pass) >= kRows) continue;
#pragma unroll
      for (int part = 0; part < kParts; part++) shared[depth(part)][row(pass)] = values[pass][part];
    }
  }
};

template <class W, class Shape, bool kGrouped>
__global__ void __launch_bounds__(Shape::kThreads, 2) multiply_fma(const __grid_constant__ Product p) {
  wait_for_predecessors();
  auto& plan = shared_plan<FmaPlan<Shape>>();
  // 1. the tile
  if constexpr (kGrouped) check_groups(p);
  const TilePlace at = tile_place(p);
  const RowBlock rows = find_rows<kGrouped, Shape::kRows>(p, at.row);
  if (rows.count == 0) return;  // beyond the last group's rows
  const int64_t first_column = static_cast<int64_t>(at.column) * Shape::kColumns;
  const Steps steps = split_steps((p.K + Shape::kDepth - 1) / Shape::kDepth, p, at);

  // 2. the product
  FmaLoader<float, Shape::kRows> x;
  FmaLoader<W, Shape::kColumns> w;
#pragma unroll
  for (int pass = 0; pass < x.kPasses; pass++) {
    const int64_t row = source_row<kGrouped>(p, rows, x.row(pass));
    x.rows[pass] = row < 0 ? nullptr : head_of_x<float>(p) + row * p.x_stride;
  }
#pragma unroll
  for (int pass = 0; pass < w.kPasses; pass++) {
    const int64_t row = first_column + w.row(pass);
    w.rows[pass] = row < p.weight_rows
                       ? static_cast<const W*>(p.weight) + (rows.group * p.weight_rows + row) * p.padded_K
                       : nullptr;
  }
  const int end = steps.begin + steps.count;
  const int first_row = static_cast<int>(threadIdx.x) / 16 * Shape::kThreadRows;
  const int column = static_cast<int>(threadIdx.x) % 16 * 4;
  float sums[Shape::kThreadRows][4] = {};
  if (steps.count > 0) x.load(steps.begin * Shape::kDepth, p.K), w.load(steps.begin * Shape::kDepth, p.K);
  for (int step = steps.begin; step < end; step++) {
    x.store(plan.x);
    w.store(plan.w);
    sync_block();
    if (step + 1 < end) x.load((step + 1) * Shape::kDepth, p.K), w.load((step + 1) * Shape::kDepth, p.K);
#pragma unroll 8
    for (int k = 0; k < Shape::kDepth; k++) {
      const float4 weight = *reinterpret_cast<const float4*>(&plan.w[k][column]);
#pragma unroll
      for (int i = 0; i < Shape::kThreadRows; i++) {
        const float a = plan.x[k][first_row + i];
        sums[i][0] += a * weight.x, sums[i][1] += a * weight.y, sums[i][2] += a * weight.z,
            sums[i][3] += a * weight.w;
      }
    }
    sync_block();
  }

  // 3. the result
#pragma unroll
  for (int i = 0; i < Shape::kThreadRows; i++) {
    float* out = plan.sums + (first_row + i) * Shape::Sums::kStride + column;
    *reinterpret_cast<float4*>(out) = {sums[i][0], sums[i][1], sums[i][2], sums[i][3]};
  }
  sync_block();
  finish_tile<typename Shape::Sums, Shape::kThreads>(p, at, rows, first_column, plan.sums, plan.is_last);
}

}  // namespace warploop::cuda
