// What:      out[r] = f(x[order[r] / top_k] W_e^T) for the expert e of row r, on sm_90a, for many rows per
//            expert, and the choice between this and grouped_linear.stream.sm90.cu.
//            f = SwiGLU or nothing, of products and biases. bf16 or f16 operands, f32 sums. W: E times plain
//            rows [16 panels, K], for SwiGLU 16 gate, 16 up, 16 gate ...
// Steps:     1. to 3. see grouped_linear.sm90.cuh
//            4. consumers: wgmma from shared memory
//            5. SwiGLU; the rows of this expert are stored
// Mapping:   a tile is 128 rows of x by 256 (128) of W, a consumer has 64 rows of x; with very many rows the
//            two blocks of a cluster work on tiles one below the other and share W (multicast)
// Resources: 4 stages of 48 KiB + 16 KiB, 56 / 224 registers
// Cost:      2 M N K flop, tensor cores
// Numerics:  sums in k order, f32, in all tiles: a row's result does not depend on its neighbours
// Limits:    see refuse_grouped_linear_sm90. Bad offsets are clamped, a bad row of `order` reads zeros.
// Source:    gather in the load, SwiGLU in the epilogue: SonicMoE, arXiv 2512.14080
#include <algorithm>
#include <cstdint>

#include "cuda/gemm/tile_store.cuh"
#include "ops/grouped_linear/grouped_linear.sm90.cuh"
#include "ops/grouped_linear/grouped_linear.sm90.h"

namespace warploop::cuda {

namespace {

/// Rows per expert, on average, up to which weights are streamed: some experts have twice as many.
constexpr int64_t kStreamedRows = 32;
/// And from which on pairs of blocks share W: half of an expert's last tile is idle on average.
constexpr int64_t kPairedRows = 512;

struct RowStaging {
  SpanStaging warps[4 * 2];
};

/// Goes through the stages of a tile of which this warpgroup has no rows.
template <int kCluster, int kStages>
WARPLOOP_DEVICE void skip_tile(StageRing<kStages>& ring, RingPosition<kStages>& at, int k_blocks) {
  for (int k = 0; k < k_blocks; k++) {
    mbarrier_wait(ring.full[at.stage], at.parity);
    sync_warp();  // a lane that still waits must not see the stage come round again
    release_stage<kCluster>(ring, at.stage);
    at.advance();
  }
}

/// 4. and 5., 64 rows of x per consumer.
template <class Tile>
WARPLOOP_DEVICE void multiply_rows(typename Tile::Plan& plan, const Product& p,
                                   RingPosition<Tile::kStages>& at, const GroupedPlace& tile, int warp) {
  const int first = warp / 4 * kWarpgroupRows, k_blocks = static_cast<int>(pieces(p.K, kDepth));
  if (first >= tile.rows.count) return skip_tile<Tile::kCluster>(plan.ring, at, k_blocks);
  float d[Tile::kWeights / 2];
  multiply_tile<typename Tile::T, Tile::kWeights, Tile::kCluster, Tile::kRowBytes, Tile::kWeightBytes>(
      d, plan.ring, at, shared_address(plan.rows[0] + first * kStageRowBytes),
      shared_address(plan.weights[0]), k_blocks);
  const int64_t row = tile.rows.first + warp * kSpanRows, row_end = tile.rows.first + tile.rows.count;
  if (row >= row_end) return;
  const float* const bias = bias_of(p.epilogue, tile.rows.group);
  if (p.epilogue.swiglu) {
#pragma unroll
    for (int s = 0; s < Tile::kWeights / (2 * kSpanColumns); s++) {
      const Span span{row, row_end, tile.weight / 2 + s * kSpanColumns};
      float v[32];
      gated_span(d, s, p.epilogue, bias, span.column, v);
      store_span<typename Tile::T>(p.epilogue, span, v, plan.staging.warps[warp]);
    }
  } else {
#pragma unroll
    for (int s = 0; s < Tile::kWeights / kSpanColumns; s++) {
      float v[32];
#pragma unroll
      for (int n = 0; n < 32; n++) v[n] = d[32 * s + n];
      const Span span{row, row_end, tile.weight + s * kSpanColumns};
      if (bias) add_bias(v, p.epilogue, bias, span.column);
      store_span<typename Tile::T>(p.epilogue, span, v, plan.staging.warps[warp]);
    }
  }
}

template <class T, int kRows, int kWeights, int kCluster, int kStages, int kLag>
struct RowTile : GroupedTile<T, kRows, kWeights, kCluster, kStages, kLag, RowStaging> {
  using typename GroupedTile<T, kRows, kWeights, kCluster, kStages, kLag, RowStaging>::Plan;
  /// Of 168 at the start: 128 (56 + 2 * 224) of 65536.
  static constexpr RoleRegisters kRegisters{56, 224};

  /// The last tile of an expert may be one of 64 rows, or none of this block: consumers skip the others.
  WARPLOOP_DEVICE static int rows_multiplied(int rows) {
    return (rows + kWarpgroupRows - 1) / kWarpgroupRows * kWarpgroupRows;
  }

  WARPLOOP_DEVICE static void consume(Plan& plan, const Product& p) {
    const int warp = warp_index() - 4;
    RingPosition<kStages> at;
    GroupCursor<RowTile> cursor;
    GroupedPlace tile;
    while (cursor.find(p, tile)) multiply_rows<RowTile>(plan, p, at, tile, warp);
  }
};

/// Starts the kernel of a tile for many rows.
template <class T>
void run_rows(GroupedHopperTile tile, const Product& p, const CudaContext& context) {
  switch (tile) {
    case GroupedHopperTile::t128x128:
      return run_grouped<RowTile<T, 128, 128, 1, 6, 1>>(p, context);
    case GroupedHopperTile::pair128x256:
      return run_grouped<RowTile<T, 128, 256, 2, 4, 1>>(p, context);
    case GroupedHopperTile::pair128x256lag2:
      return run_grouped<RowTile<T, 128, 256, 2, 4, 2>>(p, context);
    case GroupedHopperTile::t128x256:
      return run_grouped<RowTile<T, 128, 256, 1, 4, 1>>(p, context);
    case GroupedHopperTile::t128x256lag2:
      return run_grouped<RowTile<T, 128, 256, 1, 4, 2>>(p, context);
    case GroupedHopperTile::stream64x128:
      return;  // grouped_linear.stream.sm90.cu has it
  }
}

GroupedHopperTile fastest(const GroupedLinearParams& p) {
  const int64_t rows = p.out.size(0), experts = p.weight.data.size(0), N = p.weight.data.size(1);
  if (rows <= kStreamedRows * experts) return GroupedHopperTile::stream64x128;
  const int64_t wide = pieces(N, 256) * 256, narrow = pieces(N, 128) * 128;
  if (7 * wide > 8 * narrow) return GroupedHopperTile::t128x128;
  return rows >= kPairedRows * experts ? GroupedHopperTile::pair128x256 : GroupedHopperTile::t128x256;
}

}  // namespace

const char* refuse_grouped_linear_sm90(const GroupedLinearParams& p, const CudaContext& context) {
  const int64_t S = p.x.size(0), K = p.x.size(1);
  if (context.compute_capability != 90) return "it needs compute capability 9.0";
  if (p.x.dtype == DType::f32 || p.x.dtype != p.weight.data.dtype)
    return "x and weight are not both bf16 or f16";
  if (p.out.dtype != DType::f32 && p.out.dtype != p.x.dtype) return "out is not f32 or of the dtype of x";
  if (p.out.numel() == 0 || S == 0 || K == 0) return "there is nothing to multiply";
  const int64_t largest =
      std::max({p.out.size(0), p.out.size(1), p.weight.data.size(0) * p.weight.data.size(1), S, K});
  if (largest > INT32_MAX) return "a size does not fit into 32 bits";
  if (K % 8 != 0) return "K is not a multiple of 8";
  if (reinterpret_cast<uintptr_t>(p.x.data) % 16 != 0 || (S > 1 && p.x.stride(0) % 8 != 0)) {
    return "rows of x are not aligned to 16 bytes";
  }
  return nullptr;
}

const char* slower_grouped_linear_sm90(GroupedHopperTile tile, const GroupedLinearParams& p,
                                       const CudaContext&) {
  return fastest(p) == tile ? nullptr : "another tile suits these rows and columns";
}

void grouped_linear_sm90(GroupedHopperTile tile, const GroupedLinearParams& p, CudaContext& context) {
  const Product product = product_of(p, context);
  if (tile == GroupedHopperTile::stream64x128) {
    grouped_linear_stream_sm90(product, p.x.dtype, context);
  } else {
    p.x.dtype == DType::bf16 ? run_rows<bf16>(tile, product, context) : run_rows<f16>(tile, product, context);
  }
}

}  // namespace warploop::cuda
