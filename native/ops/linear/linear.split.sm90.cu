// What:      out [T, N] = x [T, K] W^T + bias + residual, or silu(gate) * up, on sm_90a for the 17 to 256
//            rows of a decode step; operands as in linear.sm90.cu
// Steps:     1. tensor maps of x and W (host)
//            2. producer: boxes of x and W of this block's part of K into a ring of stages
//            3. consumers: wgmma from shared memory, 64 rows per warpgroup (cuda/gemm/hopper_pipeline.cuh)
//            4. the sums go to shared memory, where the stages were; barrier of the cluster
//            5. all warps: this block's part of the rows, added up over the cluster in the order of its
//               blocks; + bias + residual or SwiGLU, store. The residual is loaded before the barrier.
// Mapping:   a cluster has one tile, and each of its kSplits blocks a part of K: with few rows there are
//            fewer tiles than SMs, and this many more blocks read W at the same time. Warpgroup 0: producer,
//            one thread; the others: 64 rows each.
// Resources: 64 x 128: 4 stages of 24 KiB, two blocks per SM; 128 x 128: 6 stages of 32 KiB
// Cost:      N K weight bytes from memory, (rows + columns) K bytes per tile from L2. 128 rows, N = K = 4096:
//            128 blocks, about 12 us
// Numerics:  f32: the sums of a block in k order, those of the blocks in order; the split of K depends on K
//            and the kernel alone, so a row does not depend on the others
// Limits:    as linear.sm90.cu
// Source:    a cluster along K that adds up through distributed shared memory: CUTLASS's cluster split-K
#include <cstdint>

#include "cuda/device/roles.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/gemm/finish.cuh"
#include "cuda/gemm/hopper_pipeline.cuh"
#include "cuda/gemm/stage_map.h"
#include "cuda/launch.h"
#include "ops/linear/linear.sm90.h"

namespace warploop::cuda {

namespace {

template <class T_, int kRows_, int kColumns_, int kSplits_, int kStages_>
struct SplitTile {
  using T = T_;
  static constexpr int kRows = kRows_, kColumns = kColumns_, kSplits = kSplits_, kStages = kStages_;
  static constexpr int kConsumers = kRows / kWarpgroupRows;
  static constexpr int kThreads = kWarpgroup * (1 + kConsumers);
  static constexpr int kBlocksPerSm = kConsumers == 1 ? 2 : 1;
  static constexpr int kXBytes = kRows * kStageRowBytes, kWeightBytes = kColumns * kStageRowBytes;
  static constexpr int kPartRows = kRows / kSplits;  // that a block finishes
  /// Eight lanes of a column write eight rows to all banks.
  static constexpr int kSumStride = kColumns + 8;

  struct Stages {
    unsigned char x[kStages][kXBytes];
    unsigned char weight[kStages][kWeightBytes];
  };
  struct Plan {
    union {
      alignas(1024) Stages stages;
      float sums[kRows][kSumStride];  // when all stages have been multiplied
    };
    StageRing<kStages> ring;
  };
  static_assert(kBlocksPerSm * (sizeof(Plan) + 1024) <= kSharedBytesPerBlock + 1024);
  static_assert(kXBytes % 1024 == 0 && kWeightBytes % 1024 == 0 && kColumns % 32 == 0);
};

/// What a block does: a tile, and steps of 64 k of it.
struct SplitPlace {
  int row, column;  // the tile's first of x and of W
  int rank;         // of the block in the cluster
  Steps k;
};

template <class Tile>
WARPLOOP_DEVICE SplitPlace split_place(const Product& p) {
  const TileIndex tile = p.tiles.at(static_cast<int>(blockIdx.x) / Tile::kSplits);
  const int rank = rank_in_cluster<Tile::kSplits>();
  return {tile.row * Tile::kRows, tile.column * Tile::kColumns, rank,
          share_of(static_cast<int>(pieces(p.K, kDepth)), Tile::kSplits, rank)};
}

/// 2. One thread.
template <class Tile>
WARPLOOP_DEVICE void produce(typename Tile::Plan& plan, const SplitPlace& at, const CUtensorMap* x_map,
                             const CUtensorMap* weight_map) {
  RingPosition<Tile::kStages> to;
  for (int k = at.k.begin; k < at.k.begin + at.k.count; k++) {
    Mbarrier& full = plan.ring.full[to.stage];
    mbarrier_wait(plan.ring.empty[to.stage], to.parity ^ 1u);
    mbarrier_expect_bytes(full, Tile::kXBytes + Tile::kWeightBytes);
    tma_load<2>(plan.stages.x[to.stage], x_map, full, {k * kDepth, at.row});
    tma_load<2>(plan.stages.weight[to.stage], weight_map, full, {k * kDepth, at.column});
    to.advance();
  }
}

/// 3., 4. The consumer warpgroups.
template <class Tile>
WARPLOOP_DEVICE void multiply(typename Tile::Plan& plan, const SplitPlace& at) {
  const int warp = warp_index() - 4, lane = lane_index();
  const auto rows = static_cast<uint32_t>(warp / 4 * kWarpgroupRows * kStageRowBytes);
  float d[Tile::kColumns / 2];
  if (at.k.count > 0) {
    RingPosition<Tile::kStages> from;
    multiply_tile<typename Tile::T, Tile::kColumns, 1, Tile::kXBytes, Tile::kWeightBytes>(
        d, plan.ring, from, shared_address(plan.stages.x[0]) + rows, shared_address(plan.stages.weight[0]),
        at.k.count);
  } else {  // there are fewer steps than blocks
#pragma unroll
    for (int n = 0; n < Tile::kColumns / 2; n++) d[n] = 0;
  }
  constexpr int kMultiplied = 1;
  barrier_sync<kMultiplied>(kWarpgroup * Tile::kConsumers);  // by all of them: no stage is read any more
  const int row = warp * 16 + lane / 4, column = 2 * (lane % 4);
#pragma unroll
  for (int n = 0; n < Tile::kColumns / 4; n++) {  // the layout of wgmma.cuh
    *reinterpret_cast<float2*>(&plan.sums[row + n % 2 * 8][n / 2 * 8 + column]) = {d[2 * n], d[2 * n + 1]};
  }
}

/// The sums of four columns of all blocks of the cluster, added in their order.
template <class Tile>
WARPLOOP_DEVICE void add_cluster(typename Tile::Plan& plan, int row, int column, float (&v)[4]) {
  float4 parts[Tile::kSplits];  // all loads before the first use
#pragma unroll
  for (int rank = 0; rank < Tile::kSplits; rank++) {
    const float* peer = cluster_shared(&plan.sums[row][column], static_cast<uint32_t>(rank));
    parts[rank] = *reinterpret_cast<const float4*>(peer);
  }
  float4 sum = parts[0];
#pragma unroll
  for (int rank = 1; rank < Tile::kSplits; rank++) accumulate(sum, parts[rank]);
  v[0] = sum.x, v[1] = sum.y, v[2] = sum.z, v[3] = sum.w;
}

/// 5. All threads; they have four columns of out each, of kPasses rows.
template <class Tile, bool kGated>
WARPLOOP_DEVICE void finish_part(typename Tile::Plan& plan, const Product& p, const SplitPlace& at) {
  constexpr int kQuads = Tile::kColumns / (kGated ? 8 : 4);  // of out in a row of the tile
  constexpr int kPasses = static_cast<int>(pieces(Tile::kPartRows * kQuads, Tile::kThreads));
  const Epilogue& e = p.epilogue;
  const int first = at.rank * Tile::kPartRows;  // row of the tile
  const int column = static_cast<int>(threadIdx.x) % kQuads * 4,
            out_column = at.column / (kGated ? 2 : 1) + column;
  const auto row_of = [&](int pass) {  // of the tile; beyond the part: none
    return first + (pass * Tile::kThreads + static_cast<int>(threadIdx.x)) / kQuads;
  };
  const auto exists = [&](int pass) {
    return row_of(pass) < first + Tile::kPartRows && at.row + row_of(pass) < p.rows;
  };
  float residual[kGated ? 1 : kPasses][4] = {};
  if (!kGated && e.residual) {
#pragma unroll
    for (int i = 0; i < kPasses; i++) {
      if (exists(i)) add_residual_quad(e, at.row + row_of(i), out_column, residual[i]);
    }
  }
  cluster_sync();  // the sums of all blocks are there
  float v[kPasses][4], up[kGated ? kPasses : 1][4];
#pragma unroll
  for (int i = 0; i < kPasses; i++) {
    if (!exists(i)) continue;
    add_cluster<Tile>(plan, row_of(i), kGated ? column / 16 * 32 + column % 16 : column, v[i]);
    if constexpr (kGated) add_cluster<Tile>(plan, row_of(i), column / 16 * 32 + column % 16 + 16, up[i]);
  }
  cluster_arrive();  // this block has read those of its peers
#pragma unroll
  for (int i = 0; i < kPasses; i++) {
    if (!exists(i)) continue;
    if constexpr (kGated) {
      multiply_gates(e, e.bias, out_column, v[i], up[i]);
    } else {
      if (e.bias) add_bias_quad(e, e.bias, out_column, v[i]);
#pragma unroll
      for (int c = 0; c < 4; c++) v[i][c] += residual[i][c];
    }
    store_out_quad(e, at.row + row_of(i), out_column, v[i]);
  }
  cluster_wait();  // and they those of this block, which may end
}

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocksPerSm)
    linear_split_sm90_kernel(const __grid_constant__ Product p, const __grid_constant__ CUtensorMap x_map,
                             const __grid_constant__ CUtensorMap weight_map) {
  auto& plan = shared_plan<typename Tile::Plan>();
  const SplitPlace at = split_place<Tile>(p);
  if (threadIdx.x == 0) {
    tensor_map_prefetch(&x_map);
    tensor_map_prefetch(&weight_map);
    plan.ring.init(1, 4 * Tile::kConsumers);
    // The first boxes of W are on their way into L2 while the kernels before still run.
    for (int k = 0; k < at.k.count && k < Tile::kStages; k++) {
      tma_prefetch<2>(&weight_map, {(at.k.begin + k) * kDepth, at.column});
    }
  }
  sync_block();
  wait_for_predecessors();
  run_roles<RoleRegisters{}>(
      [&] {
        if (warp_index() != 0) return;
        if (elect_one()) produce<Tile>(plan, at, &x_map, &weight_map);
        sync_warp();
      },
      [&] { multiply<Tile>(plan, at); });
  p.epilogue.swiglu ? finish_part<Tile, true>(plan, p, at) : finish_part<Tile, false>(plan, p, at);
}

template <class Tile>
void run(Product p, const CudaContext& context) {
  p.tiles = {static_cast<int>(pieces(p.rows, Tile::kRows)),
             static_cast<int>(pieces(p.weight_rows, Tile::kColumns))};
  const DType dtype = kDTypeOf<typename Tile::T>;
  const CUtensorMap x_map = stage_map(dtype, p.x, p.x_rows, p.K, p.x_stride, Tile::kRows);
  const CUtensorMap weight_map = stage_map(dtype, p.weight, p.weight_rows, p.K, p.K, Tile::kColumns);
  launch<linear_split_sm90_kernel<Tile>>(
      context,
      {.grid = dim3(static_cast<unsigned>(p.tiles.count()) * Tile::kSplits),
       .threads = Tile::kThreads,
       .shared_bytes = sizeof(typename Tile::Plan),
       .cluster = Tile::kSplits},
      p, x_map, weight_map);
}

template <class T>
void run_tile(HopperTile tile, const Product& p, const CudaContext& context) {
  switch (tile) {
    case HopperTile::t64x128k2:
      return run<SplitTile<T, 64, 128, 2, 4>>(p, context);
    case HopperTile::t64x128k4:
      return run<SplitTile<T, 64, 128, 4, 4>>(p, context);
    case HopperTile::t64x128k8:
      return run<SplitTile<T, 64, 128, 8, 4>>(p, context);
    case HopperTile::t128x128k2:
      return run<SplitTile<T, 128, 128, 2, 6>>(p, context);
    case HopperTile::t128x128k4:
      return run<SplitTile<T, 128, 128, 4, 6>>(p, context);
    case HopperTile::t128x128k8:
      return run<SplitTile<T, 128, 128, 8, 6>>(p, context);
    default:
      return;  // linear.sm90.cu has it
  }
}

}  // namespace

void linear_split_sm90(HopperTile tile, const Product& p, DType dtype, const CudaContext& context) {
  dtype == DType::bf16 ? run_tile<bf16>(tile, p, context) : run_tile<f16>(tile, p, context);
}

}  // namespace warploop::cuda
