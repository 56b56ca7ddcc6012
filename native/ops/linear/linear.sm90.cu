// What:      out [T, N] = x [T, K] W^T + bias + residual on sm_90a: bf16 or f16 operands, f32 sums. Rows
//            of x aligned to 16 bytes, K a multiple of 8; W: plain rows [16 ceil(N / 16), K]. Or out
//            [T, N / 2] = silu(gate) * up of x W^T + bias; W has 16 rows of gate, 16 of up, 16 of gate ...
// Steps:     1. tensor maps of x and W, a tile shape by estimated time (host)
//            2. producer: boxes of x and W into a ring of stages, through all tiles of the block; behind the
//               last k of a tile its residual, if rows of that are aligned to 16 bytes
//            3. consumers: wgmma from shared memory, 64 rows per warpgroup (cuda/gemm/hopper_pipeline.cuh)
//            4. + bias + residual or SwiGLU, store (cuda/gemm/tile_store.cuh); the producer fills the stages
//               meanwhile
// Mapping:   persistent blocks, one per SM. Warpgroup 0: producer, one thread; the others: 64 rows each. A
//            cluster of kCluster blocks works on tiles one below the other, with one tile of W: each block
//            copies its part of that to all (multicast). Tiles in bands of rows (cuda/gemm/tile_grid.h).
// Resources: 128 x 256: 4 stages of 48 KiB + 16 KiB, 40 / 232 registers; 128 x 128: 6 stages of 32 KiB;
//            64 x 128: 8 of 24 KiB
// Cost:      2 T N K flop; for T, N >= 2048 bound by the tensor cores: 64 k of 128 x 256 are 1024 cycles of
//            wgmma and 32 KiB from L2. Aim: 720 TFLOP/s at 8192^3 on an H200.
// Numerics:  sums in k order, f32, alike for every tile shape; rounded as in linear.cu
// Limits:    outside the matrices zeros are read and nothing is written. See refuse_linear_sm90.
// Source:    warp roles, multicast, register split: https://github.com/deepseek-ai/DeepGEMM
//            the 128 x 256 tile: "Outperforming cuBLAS on H100", https://github.com/pranjalssh/fast.cu
#include "ops/linear/linear.sm90.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/error.h"
#include "cuda/device/tma.cuh"
#include "cuda/gemm/hopper_pipeline.cuh"
#include "cuda/gemm/stage_map.h"
#include "cuda/gemm/staged_residual.cuh"
#include "cuda/gemm/tile_grid.h"
#include "cuda/gemm/tile_store.cuh"
#include "cuda/launch.h"

namespace warploop::cuda {

namespace {

/// With fewer rows, or fewer blocks per SM, the portable kernel is ahead: it streams, or splits K further.
constexpr int64_t kMinRows = 17;
constexpr double kMinBlocksPerSm = 1.0 / 3;
/// Of 168 at the start: 128 (40 + 2 * 232) of 65536. One consumer has enough as it is.
constexpr RoleRegisters registers_of(int consumers) {
  return consumers == 2 ? RoleRegisters{40, 232} : RoleRegisters{};
}

template <class T_, int kRows_, int kColumns_, int kCluster_, int kStages_>
struct LinearTile {
  using T = T_;
  static constexpr int kRows = kRows_, kColumns = kColumns_, kCluster = kCluster_, kStages = kStages_;
  static constexpr int kConsumers = kRows / kWarpgroupRows;
  static constexpr int kThreads = kWarpgroup * (1 + kConsumers);
  static constexpr int kWeightPart = kColumns / kCluster;  // rows of W that this block copies to the cluster
  static constexpr int kXBytes = kRows * kStageRowBytes, kWeightBytes = kColumns * kStageRowBytes;

  struct Plan {
    alignas(1024) unsigned char x[kStages][kXBytes];
    unsigned char weight[kStages][kWeightBytes];
    SpanStaging staging[4 * kConsumers];
    StageRing<kStages> ring;
  };
  static_assert(sizeof(Plan) <= kSharedBytesPerBlock && kXBytes % 1024 == 0 && kWeightBytes % 1024 == 0);
  static_assert(kWeightPart % 8 == 0 && kColumns % (2 * kSpanColumns) == 0);
};

template <class Tile>
WARPLOOP_DEVICE void produce(typename Tile::Plan& plan, const Product& p, const CUtensorMap* x_map,
                             const CUtensorMap* weight_map, const StagedResidual& residual) {
  const int rank = rank_in_cluster<Tile::kCluster>(), part = rank * Tile::kWeightPart;
  const int k_blocks = static_cast<int>(pieces(p.K, kDepth));
  const int step = static_cast<int>(gridDim.x) / Tile::kCluster;
  RingPosition<Tile::kStages> at;
  for (int i = static_cast<int>(blockIdx.x) / Tile::kCluster; i < p.tiles.count(); i += step) {
    const TileIndex tile = p.tiles.at(i);
    const int row = (tile.row * Tile::kCluster + rank) * Tile::kRows;
    const int column = tile.column * Tile::kColumns;
    for (int k = 0; k < k_blocks; k++) {
      Mbarrier& full = plan.ring.full[at.stage];
      mbarrier_wait(plan.ring.empty[at.stage], at.parity ^ 1u);
      mbarrier_expect_bytes(full, Tile::kXBytes + Tile::kWeightBytes);
      tma_load<2>(plan.x[at.stage], x_map, full, {k * kDepth, row});
      load_part<Tile::kCluster>(plan.weight[at.stage], weight_map, full, k * kDepth, column, part);
      at.advance();
    }
    for (int s = 0; residual.staged && s < Tile::kColumns / kSpanColumns; s++) {
      mbarrier_wait(plan.ring.empty[at.stage], at.parity ^ 1u);
      load_residual(plan.x[at.stage], plan.weight[at.stage], Tile::kXBytes, p.epilogue.residual_dtype,
                    &residual.map, plan.ring.full[at.stage], column + s * kSpanColumns, row);
      at.advance();
    }
  }
}

/// The first boxes of W that this block copies: on their way into L2 while the kernels before still run.
template <class Tile>
WARPLOOP_DEVICE void prefetch_weight(const Product& p, const CUtensorMap* weight_map) {
  const int column = p.tiles.at(static_cast<int>(blockIdx.x) / Tile::kCluster).column * Tile::kColumns,
            part = rank_in_cluster<Tile::kCluster>() * Tile::kWeightPart,
            k_blocks = static_cast<int>(pieces(p.K, kDepth));
  for (int k = 0; k < k_blocks && k < Tile::kStages; k++) {
    tma_prefetch<2>(weight_map, {k * kDepth, column + part});
  }
}

/// d += bias + residual, of a tile whose first row and column of this warp are those of `first`.
template <class Tile>
WARPLOOP_DEVICE void add_inputs(float (&d)[Tile::kColumns / 2], typename Tile::Plan& plan, const Epilogue& e,
                                RingPosition<Tile::kStages>& at, const Span& first, bool staged) {
#pragma unroll
  for (int s = 0; s < Tile::kColumns / kSpanColumns; s++) {
    const Span span{first.row, first.row_end, first.column + s * kSpanColumns};
    float v[32];
#pragma unroll
    for (int n = 0; n < 32; n++) v[n] = d[32 * s + n];
    if (e.bias) add_bias(v, e, e.bias, span.column);
    if (staged) {
      mbarrier_wait(plan.ring.full[at.stage], at.parity);
      add_staged(v, plan.x[at.stage], plan.weight[at.stage], e.residual_dtype,
                 (warp_index() - 4) * kSpanRows);
      release_read_stage<Tile::kCluster>(plan.ring, at.stage);
      at.advance();
    } else if (e.residual) {
      add_residual(v, e, span);
    }
#pragma unroll
    for (int n = 0; n < 32; n++) d[32 * s + n] = v[n];
  }
}

template <class Tile>
WARPLOOP_DEVICE void consume(typename Tile::Plan& plan, const Product& p, bool staged) {
  const int rank = rank_in_cluster<Tile::kCluster>();
  const int warp = warp_index() - 4, warpgroup = warp / 4;
  const int step = static_cast<int>(gridDim.x) / Tile::kCluster;
  const uint32_t x =
      shared_address(plan.x[0]) + static_cast<uint32_t>(warpgroup * kWarpgroupRows * kStageRowBytes);
  const uint32_t weight = shared_address(plan.weight[0]);
  RingPosition<Tile::kStages> at;
  for (int i = static_cast<int>(blockIdx.x) / Tile::kCluster; i < p.tiles.count(); i += step) {
    const TileIndex tile = p.tiles.at(i);
    // 3.
    float d[Tile::kColumns / 2];
    multiply_tile<typename Tile::T, Tile::kColumns, Tile::kCluster, Tile::kXBytes, Tile::kWeightBytes>(
        d, plan.ring, at, x, weight, static_cast<int>(pieces(p.K, kDepth)));
    // 4.
    const int64_t row = int64_t{tile.row * Tile::kCluster + rank} * Tile::kRows + warp * kSpanRows;
    const int column = tile.column * Tile::kColumns;
    if (p.epilogue.swiglu) {
#pragma unroll
      for (int s = 0; s < Tile::kColumns / (2 * kSpanColumns); s++) {
        const Span span{row, p.rows, column / 2 + s * kSpanColumns};
        float v[32];
        gated_span(d, s, p.epilogue, p.epilogue.bias, span.column, v);
        store_span<typename Tile::T>(p.epilogue, span, v, plan.staging[warp]);
      }
    } else {
      add_inputs<Tile>(d, plan, p.epilogue, at, {row, p.rows, column}, staged);
#pragma unroll
      for (int s = 0; s < Tile::kColumns / kSpanColumns; s++) {
        const Span span{row, p.rows, column + s * kSpanColumns};
        float v[32];
#pragma unroll
        for (int n = 0; n < 32; n++) v[n] = d[32 * s + n];
        store_span<typename Tile::T>(p.epilogue, span, v, plan.staging[warp],
                                     gaps_before(p.epilogue, span.column));
      }
    }
  }
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    linear_sm90_kernel(const __grid_constant__ Product p, const __grid_constant__ CUtensorMap x_map,
                       const __grid_constant__ CUtensorMap weight_map,
                       const __grid_constant__ StagedResidual residual) {
  auto& plan = shared_plan<typename Tile::Plan>();
  if (threadIdx.x == 0) {
    tensor_map_prefetch(&x_map);
    tensor_map_prefetch(&weight_map);
    if (residual.staged) tensor_map_prefetch(&residual.map);
    plan.ring.init(1, 4 * Tile::kConsumers * Tile::kCluster);
    prefetch_weight<Tile>(p, &weight_map);
  }
  sync_blocks<Tile::kCluster>();
  wait_for_predecessors();
  run_roles<registers_of(Tile::kConsumers)>(
      [&] {
        if (warp_index() != 0) return;
        if (elect_one()) produce<Tile>(plan, p, &x_map, &weight_map, residual);
        sync_warp();
      },
      [&] { consume<Tile>(plan, p, residual.staged); });
  wait_for_peers<Tile::kCluster>();
}

/// A row of the grid is kCluster rows of tiles.
template <class Tile>
TileGrid tiles_of(const Product& p) {
  return {static_cast<int>(pieces(p.rows, Tile::kRows * Tile::kCluster)),
          static_cast<int>(pieces(p.weight_rows, Tile::kColumns))};
}

template <class Tile>
void run(Product p, const CudaContext& context) {
  p.tiles = tiles_of<Tile>(p);
  const DType dtype = kDTypeOf<typename Tile::T>;
  const CUtensorMap x_map = stage_map(dtype, p.x, p.x_rows, p.K, p.x_stride, Tile::kRows);
  const CUtensorMap weight_map = stage_map(dtype, p.weight, p.weight_rows, p.K, p.K, Tile::kWeightPart);
  const StagedResidual residual = staged_residual(p, Tile::kRows);
  const int clusters = std::min(p.tiles.count(), context.num_sms / Tile::kCluster);
  launch<linear_sm90_kernel<Tile>>(context,
                                   {.grid = dim3(static_cast<unsigned>(clusters * Tile::kCluster)),
                                    .threads = Tile::kThreads,
                                    .shared_bytes = sizeof(typename Tile::Plan),
                                    .cluster = Tile::kCluster},
                                   p, x_map, weight_map, residual);
}

template <class T>
void run_tile(HopperTile tile, const Product& p, const CudaContext& context) {
  switch (tile) {
    case HopperTile::t128x256:
      return run<LinearTile<T, 128, 256, 2, 4>>(p, context);
    case HopperTile::t128x128:
      return run<LinearTile<T, 128, 128, 2, 6>>(p, context);
    case HopperTile::t64x128:
      return run<LinearTile<T, 64, 128, 1, 8>>(p, context);
    default:
      return linear_split_sm90(tile, p, kDTypeOf<T>, context);
  }
}

/// A block's tile, and the blocks of a cluster: those with tiles one below the other, those that share a K.
struct TileSizes {
  HopperTile tile;
  int rows, columns, stacked, splits;
};
constexpr TileSizes kTiles[] = {
    {HopperTile::t128x256, 128, 256, 2, 1},   {HopperTile::t128x128, 128, 128, 2, 1},
    {HopperTile::t64x128, 64, 128, 1, 1},     {HopperTile::t128x128k2, 128, 128, 1, 2},
    {HopperTile::t128x128k4, 128, 128, 1, 4}, {HopperTile::t128x128k8, 128, 128, 1, 8},
    {HopperTile::t64x128k2, 64, 128, 1, 2},   {HopperTile::t64x128k4, 64, 128, 1, 4},
    {HopperTile::t64x128k8, 64, 128, 1, 8},
};

/// What a tile means for a product.
struct Estimate {
  HopperTile tile;
  int64_t blocks;
  double cycles;
};

/// Roughly: rounds of clusters over the SMs, each bound by the tensor cores (4096 flop a cycle), by L2 or,
/// all SMs together, by memory; then sums that are exchanged between blocks and stored.
Estimate estimate(const TileSizes& t, int64_t T, int64_t N, int64_t K, const CudaContext& context) {
  constexpr double kFlops = 4096, kL2Bytes = 32, kMemoryBytes = 2000;
  const int64_t row_tiles = pieces(T, t.rows * t.stacked), tiles = row_tiles * pieces(N, t.columns);
  const int64_t at_once = std::max(context.num_sms / (t.stacked * t.splits), 1);
  const auto steps = static_cast<double>(pieces(pieces(K, kDepth), t.splits));
  const auto rows = static_cast<double>(std::min<int64_t>(t.rows, T));  // others are not loaded
  const double multiply = 2.0 * t.rows * t.columns * kDepth / kFlops;
  const double load = (rows + t.columns / t.stacked) * kStageRowBytes / kL2Bytes;
  const double weights =
      2.0 * t.columns * static_cast<double>(K) / static_cast<double>(row_tiles) / kMemoryBytes;  // of a tile
  const double sums = t.rows * t.columns;
  // A barrier costs more the more blocks come to it, and so many SMs have to be free at once.
  const double exchange = t.splits > 1 ? 1000 + 300 * t.splits + 4 * sums / kL2Bytes : 0;
  const double store = sums / 16 / t.splits + exchange;
  const auto round = [&](int64_t count) {
    return std::max(steps * std::max(multiply, load), static_cast<double>(count) * weights) + store;
  };
  const int64_t rounds = tiles / at_once, rest = tiles % at_once;
  return {t.tile, tiles * t.stacked * t.splits,
          static_cast<double>(rounds) * round(at_once) + (rest > 0 ? round(rest) : 0)};
}

/// The tile that needs the fewest cycles. Every tile of the op's table asks, one after another, for the same
/// sizes: the last answer of a thread is kept, since finding one costs about as much as a launch's arguments.
Estimate fastest_tile(int64_t T, int64_t N, int64_t K, const CudaContext& context) {
  struct Answer {
    int64_t T, N, K;
    int num_sms;
    Estimate fastest;
  };
  thread_local Answer last{};
  if (last.T == T && last.N == N && last.K == K && last.num_sms == context.num_sms) return last.fastest;
  Estimate fastest{kTiles[0].tile, 0, std::numeric_limits<double>::infinity()};
  for (const TileSizes& each : kTiles) {
    if (each.stacked > 1 && T <= each.rows) continue;  // the second block would have no rows
    const Estimate other = estimate(each, T, N, K, context);
    if (other.cycles < fastest.cycles) fastest = other;
  }
  last = {T, N, K, context.num_sms, fastest};
  return fastest;
}

}  // namespace

const char* refuse_linear_sm90(const LinearParams& p, const CudaContext& context) {
  const int64_t T = p.out.size(0), N = p.weight.data.size(1), K = p.x.size(1);
  if (context.compute_capability != 90) return "it needs compute capability 9.0";
  if (p.x.dtype == DType::f32 || p.x.dtype != p.weight.data.dtype)
    return "x and weight are not both bf16 or f16";
  if (p.out.dtype != DType::f32 && p.out.dtype != p.x.dtype) return "out is not f32 or of the dtype of x";
  if (T == 0 || N == 0 || K == 0) return "there is nothing to multiply";
  if (T > INT32_MAX || N > INT32_MAX || K > INT32_MAX) return "a size does not fit into 32 bits";
  if (K % 8 != 0) return "K is not a multiple of 8";
  if (reinterpret_cast<uintptr_t>(p.x.data) % 16 != 0 || (T > 1 && p.x.stride(0) % 8 != 0)) {
    return "rows of x are not aligned to 16 bytes";
  }
  if (T > 1 && p.x.stride(0) < K) return "rows of x overlap";
  return nullptr;
}

const char* slower_linear_sm90(HopperTile tile, const LinearParams& p, const CudaContext& context) {
  const int64_t T = p.out.size(0), N = p.weight.data.size(1), K = p.x.size(1);
  if (T < kMinRows) return "few rows: the portable kernel streams the weights";
  const Estimate fastest = fastest_tile(T, N, K, context);
  if (static_cast<double>(fastest.blocks) < kMinBlocksPerSm * context.num_sms) {
    return "few blocks: the portable kernel splits K among more";
  }
  return tile == fastest.tile ? nullptr : "another tile needs fewer cycles";
}

void linear_sm90(HopperTile tile, const LinearParams& p, CudaContext& context) {
  const Product product = product_of(p, context);
  p.x.dtype == DType::bf16 ? run_tile<bf16>(tile, product, context) : run_tile<f16>(tile, product, context);
}

HopperTile whole_tile_sm90(const LinearParams& p, const CudaContext& context) {
  for (const HopperTile tile : {HopperTile::t128x256, HopperTile::t128x128}) {
    if (!slower_linear_sm90(tile, p, context)) return tile;
  }
  return HopperTile::t64x128;
}

void linear_apart_sm90(const LinearParams& p, int together, int64_t stride, CudaContext& context) {
  Product product = product_of(p, context);
  product.epilogue.together = together;
  product.epilogue.gap = stride - together;
  const HopperTile tile = whole_tile_sm90(p, context);
  p.x.dtype == DType::bf16 ? run_tile<bf16>(tile, product, context) : run_tile<f16>(tile, product, context);
}

}  // namespace warploop::cuda
