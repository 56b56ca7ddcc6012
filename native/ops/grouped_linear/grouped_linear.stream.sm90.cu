// What:      out[r] = f(x[order[r] / top_k] W_e^T) for the expert e of row r, on sm_90a, for few rows per
//            expert: the weights are streamed. f and operands are those of grouped_linear.sm90.cu
// Steps:     1. to 3. see grouped_linear.sm90.cuh
//            4. consumers: wgmma from shared memory; the operands change places
//            5. SwiGLU; the rows of this expert are stored
// Mapping:   a tile is 64 rows of x by 128 of W. A consumer has 64 rows of W, which is what wgmma wants on
//            its left side, and 8, 16, 32 or 64 rows of x on the right
// Resources: 8 stages of 24 KiB + 32 KiB
// Cost:      the weights of experts that have rows, memory
// Numerics:  sums in k order, f32, in all tiles: a row's result does not depend on its neighbours
// Limits:    see refuse_grouped_linear_sm90. Bad offsets are clamped, a bad row of `order` reads zeros.
// Source:    exchanged operands: https://github.com/deepseek-ai/DeepGEMM/pull/192
#include "cuda/device/activations.cuh"
#include "cuda/device/dtype.cuh"
#include "ops/grouped_linear/grouped_linear.sm90.cuh"
#include "ops/grouped_linear/grouped_linear.sm90.h"

namespace warploop::cuda {

namespace {

constexpr int kRows = 64, kWeights = 128;

/// Rows of x that wgmma multiplies with when they are its columns.
constexpr int wgmma_columns(int rows) { return rows <= 8 ? 8 : rows <= 16 ? 16 : rows <= 32 ? 32 : 64; }

/// Sums of a consumer on their way from columns to rows of the result; the column is xored, see `staged`.
using Turned = float[kRows][kWarpgroupRows];
struct StreamStaging {
  Turned sums[kWeights / kWarpgroupRows];
};

template <class T>
using StreamBase = GroupedTile<T, kRows, kWeights, 1, 8, 3, StreamStaging>;

/// Barrier of one consumer.
WARPLOOP_DEVICE void sync_consumer(int consumer) {
  constexpr int kFirst = 1, kSecond = 2;
  if (consumer == 0) {
    barrier_sync<kFirst>(kWarpgroup);
  } else {
    barrier_sync<kSecond>(kWarpgroup);
  }
}

/// Where the sum of column `row` of x and row `weight` of W is staged: no two lanes of a write meet a bank.
WARPLOOP_DEVICE float& staged(Turned& sums, int row, int weight) {
  return sums[row][weight ^ (row / 2 % 4 * 8)];
}

/// 4., 64 rows of W per consumer and kN rows of x; leaves the sums in shared memory.
template <class Tile, int kN>
WARPLOOP_DEVICE void multiply_stream(typename Tile::Plan& plan, const Product& p,
                                     RingPosition<Tile::kStages>& at, int warp) {
  const int consumer = warp / 4, lane = lane_index();
  float d[kN / 2];
  multiply_tile<typename Tile::T, kN, 1, Tile::kWeightBytes, Tile::kRowBytes>(
      d, plan.ring, at, shared_address(plan.weights[0] + consumer * kWarpgroupRows * kStageRowBytes),
      shared_address(plan.rows[0]), static_cast<int>(pieces(p.K, kDepth)));
  sync_consumer(consumer);  // the tile before has been stored
#pragma unroll
  for (int n = 0; n < kN / 2; n++) {
    const int row = n / 4 * 8 + lane % 4 * 2 + n % 2;
    const int weight = warp % 4 * 16 + lane / 4 + n / 2 % 2 * 8;
    staged(plan.staging.sums[consumer], row, weight) = d[n];
  }
  sync_consumer(consumer);
}

/// 5. A warp stores every fourth row, lanes side by side.
template <class Tile, class O>
WARPLOOP_DEVICE void store_stream(typename Tile::Plan& plan, const Epilogue& e, const GroupedPlace& tile,
                                  int warp) {
  auto& sums = plan.staging.sums[warp / 4];
  const int weight = tile.weight + warp / 4 * kWarpgroupRows;
  const float* const bias = bias_of(e, tile.rows.group);
  const int outputs = e.swiglu ? kWarpgroupRows / 2 : kWarpgroupRows, column = e.swiglu ? weight / 2 : weight;
  for (int row = warp % 4; row < tile.rows.count; row += 4) {
    O* out = static_cast<O*>(e.out) + (tile.rows.first + row) * e.out_stride + column;
    for (int c = lane_index(); c < outputs && column + c < e.columns; c += kWarpSize) {
      float value = staged(sums, row, e.swiglu ? c / 16 * 32 + c % 16 : c);
      if (bias) value += bias[column + c];
      if (e.swiglu) {
        float up = staged(sums, row, c / 16 * 32 + c % 16 + 16);
        if (bias) up += bias[e.columns + column + c];
        value = e.function.clamped ? clamped_swiglu(e.function, value, up) : silu(value) * up;
      }
      out[c] = from_float<O>(value);
    }
  }
}

template <class T>
struct StreamTile : StreamBase<T> {
  using typename StreamBase<T>::Plan;
  static constexpr RoleRegisters kRegisters{};

  WARPLOOP_DEVICE static int rows_multiplied(int rows) { return wgmma_columns(rows); }

  WARPLOOP_DEVICE static void consume(Plan& plan, const Product& p) {
    const int warp = warp_index() - 4;
    RingPosition<StreamTile::kStages> at;
    GroupCursor<StreamTile> cursor;
    GroupedPlace tile;
    while (cursor.find(p, tile)) {
      const int columns = wgmma_columns(tile.rows.count);
      if (columns == 8) {
        multiply_stream<StreamTile, 8>(plan, p, at, warp);
      } else if (columns == 16) {
        multiply_stream<StreamTile, 16>(plan, p, at, warp);
      } else if (columns == 32) {
        multiply_stream<StreamTile, 32>(plan, p, at, warp);
      } else {
        multiply_stream<StreamTile, 64>(plan, p, at, warp);
      }
      if (p.epilogue.out_dtype == DType::f32) {
        store_stream<StreamTile, float>(plan, p.epilogue, tile, warp);
      } else {
        store_stream<StreamTile, T>(plan, p.epilogue, tile, warp);
      }
    }
  }
};

}  // namespace

void grouped_linear_stream_sm90(const Product& p, DType dtype, const CudaContext& context) {
  dtype == DType::bf16 ? run_grouped<StreamTile<bf16>>(p, context) : run_grouped<StreamTile<f16>>(p, context);
}

}  // namespace warploop::cuda
