// What the kernels of grouped_linear on sm_90a share (grouped_linear.sm90.cu: many rows per expert,
// grouped_linear.stream.sm90.cu: few): how a block finds its tiles, the producers, and the frame in which
// consumers run. A kernel's tile derives from GroupedTile and adds
//
//   kRegisters             of the roles
//   rows_multiplied(n)     of a tile that has n rows: as many as its consumers read
//   consume(plan, p)       the consumers: all tiles of the block
//
// Steps:     1. the first block checks the groups
//            2. every warp walks the tiles of its block through the offsets; the host never sees them
//            3. producers: rows of x by cp.async (gathered), boxes of W by the copy engine, into a ring
//            4. and 5.: the consumers
// Mapping:   persistent blocks, one per SM; warpgroup 0: four producer warps; 1 and 2: consumers. Experts one
//            after another, the tiles of one in bands (cuda/gemm/tile_grid.h).
#pragma once
#include <algorithm>
#include <cstdint>

#include "cuda/device/async_copy.cuh"
#include "cuda/device/roles.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/gemm/hopper_pipeline.cuh"
#include "cuda/gemm/row_tiles.cuh"
#include "cuda/gemm/stage_map.h"
#include "cuda/gemm/tile_grid.h"
#include "cuda/launch.h"

namespace warploop::cuda {

/// kLag: stages whose rows are under way when a producer waits for the one before them. Staging: what the
/// consumers keep beside the ring.
template <class T_, int kRows_, int kWeights_, int kCluster_, int kStages_, int kLag_, class Staging>
struct GroupedTile {
  using T = T_;
  static constexpr int kRows = kRows_, kWeights = kWeights_, kCluster = kCluster_, kStages = kStages_;
  static constexpr int kLag = kLag_, kConsumers = 2, kThreads = kWarpgroup * (1 + kConsumers);
  static constexpr int kWeightPart = kWeights / kCluster;  // rows of W that this block copies to the cluster
  static constexpr int kRowBytes = kRows * kStageRowBytes, kWeightBytes = kWeights * kStageRowBytes;

  struct Plan {
    alignas(1024) unsigned char rows[kStages][kRowBytes];
    unsigned char weights[kStages][kWeightBytes];
    Staging staging;
    StageRing<kStages> ring;
  };
  static_assert(sizeof(Plan) <= kSharedBytesPerBlock && kRowBytes % 1024 == 0 && kWeightBytes % 1024 == 0);
  static_assert(kLag < kStages && kRows <= 128 && kWeightPart <= 256 && kWeightPart % 8 == 0);
};

/// A tile: rows of one expert, none in the last blocks of a cluster if it ends earlier, and weight rows
/// [weight, weight + kWeights) of it.
struct GroupedPlace {
  RowBlock rows;
  int weight;
};

/// 2. Finds tile after tile of a block. Every warp has its own; all lanes take part and get the same.
template <class Tile>
struct GroupCursor {
  static constexpr int kClusterRows = Tile::kRows * Tile::kCluster;

  int next;        // a tile of the cluster, counted through all experts
  int step;        // to the one after
  int skipped;     // rows of the tile that are other blocks' business
  int window = 0;  // the first of the 32 experts that the lanes look at
  int before = 0;  // tiles of the experts before them

  WARPLOOP_DEVICE GroupCursor()
      : next(static_cast<int>(blockIdx.x) / Tile::kCluster),
        step(static_cast<int>(gridDim.x) / Tile::kCluster),
        skipped(rank_in_cluster<Tile::kCluster>() * Tile::kRows) {}

  /// False: there are no more.
  WARPLOOP_DEVICE bool find(const Product& p, GroupedPlace& found) {
    const int lane = lane_index();
    for (; window < p.groups.count; window += kWarpSize) {
      const int group = window + lane;
      const RowBlock rows = group < p.groups.count ? group_rows(p, group) : RowBlock{group, 0, 0};
      const TileGrid grid{(rows.count + kClusterRows - 1) / kClusterRows, p.tiles.columns};
      const int first = before + sum_lanes_before(grid.count());
      const int owner = max_lanes(first <= next && next < first + grid.count() ? lane : -1);
      if (owner >= 0) {
        const TileIndex index =
            TileGrid{shuffle(grid.rows, owner), grid.columns}.at(next - shuffle(first, owner));
        const int row = index.row * kClusterRows + skipped, left = shuffle(rows.count, owner) - row;
        const int count = left < 0 ? 0 : left < Tile::kRows ? left : Tile::kRows;
        found.rows = {window + owner, count, shuffle(rows.first, owner) + row};
        found.weight = index.column * Tile::kWeights;
        next += step;
        return true;
      }
      before = shuffle(first + grid.count(), kWarpSize - 1);
    }
    return false;
  }
};

/// 3. The producer warpgroup. A thread copies 16 bytes of every sixteenth row.
template <class Tile>
struct Producer {
  static constexpr int kPassRows = kWarpgroup / 8, kPasses = Tile::kRows / kPassRows;

  typename Tile::Plan& plan;
  const Product& p;
  const CUtensorMap* weight_map;
  RingPosition<Tile::kStages> at, landed;
  int under_way = 0;    // stages between the two
  int source[kPasses];  // rows of x; -1: none

  WARPLOOP_DEVICE void locate(const RowBlock& rows, int first_row) {
#pragma unroll
    for (int i = 0; i < kPasses; i++) {
      source[i] = static_cast<int>(source_row<true>(p, rows, first_row + i * kPassRows));
    }
  }

  /// The oldest stage under way has landed, as far as this warp copies it.
  WARPLOOP_DEVICE void announce() {
    fence_async_shared();
    sync_warp();
    if (lane_index() == 0) mbarrier_arrive(plan.ring.full[landed.stage]);
    landed.advance();
    under_way--;
  }

  WARPLOOP_DEVICE void copy_stage(const GroupedPlace& tile, int k, int first_row, int piece) {
    mbarrier_wait(plan.ring.empty[at.stage], at.parity ^ 1u);
    if (warp_index() == 0 && elect_one()) {
      Mbarrier& full = plan.ring.full[at.stage];
      mbarrier_expect_bytes(full, Tile::kWeightBytes);
      load_part<Tile::kCluster>(plan.weights[at.stage], weight_map, full, k * kDepth,
                                static_cast<int>(tile.rows.group * p.weight_rows) + tile.weight,
                                rank_in_cluster<Tile::kCluster>() * Tile::kWeightPart);
    }
    const uint32_t place =
        swizzled(Swizzle::b128, static_cast<uint32_t>(first_row * kStageRowBytes + piece * 16));
    const uint32_t to = shared_address(plan.rows[at.stage]) + place;
    const int column = k * kDepth + piece * 8;
    const auto* from = static_cast<const unsigned char*>(p.x) + 2 * column;
#pragma unroll
    for (int i = 0; i < kPasses; i++) {
      if (i * kPassRows >= Tile::rows_multiplied(tile.rows.count)) continue;
      const bool valid = column < p.K && source[i] >= 0;
      copy_async_16(to + i * kPassRows * kStageRowBytes, valid ? from + source[i] * p.x_stride * 2 : p.x,
                    valid);
    }
    copy_async_commit();
    under_way++;
    at.advance();
    if (under_way > Tile::kLag) {
      copy_async_wait<Tile::kLag>();
      announce();
    }
  }

  WARPLOOP_DEVICE void run() {
    const int first_row = static_cast<int>(threadIdx.x) / 8, piece = static_cast<int>(threadIdx.x) % 8;
    GroupCursor<Tile> cursor;
    GroupedPlace tile;
    const int k_blocks = static_cast<int>(pieces(p.K, kDepth));
    while (cursor.find(p, tile)) {
      locate(tile.rows, first_row);
      for (int k = 0; k < k_blocks; k++) copy_stage(tile, k, first_row, piece);
    }
    copy_async_wait<0>();
    while (under_way > 0) announce();
  }
};

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 1)
    grouped_linear_sm90_kernel(const __grid_constant__ Product p,
                               const __grid_constant__ CUtensorMap weight_map) {
  wait_for_predecessors();
  auto& plan = shared_plan<typename Tile::Plan>();
  if (threadIdx.x == 0) {
    tensor_map_prefetch(&weight_map);
    // bytes of W and four producer warps; consumer warps
    plan.ring.init(1 + 4, 4 * Tile::kConsumers * Tile::kCluster);
  }
  check_groups(p);
  sync_blocks<Tile::kCluster>();
  run_roles<Tile::kRegisters>(
      [&] {
        Producer<Tile> producer{plan, p, &weight_map};
        producer.run();
      },
      [&] { Tile::consume(plan, p); });
  wait_for_peers<Tile::kCluster>();
}

/// Starts the kernel.
template <class Tile>
void run_grouped(Product p, const CudaContext& context) {
  // Rows of tiles: as many as there are full ones, and one more for every expert that may have an odd rest.
  constexpr int kClusterRows = Tile::kRows * Tile::kCluster;
  const int64_t experts = p.groups.count, row_tiles = p.rows / kClusterRows + std::min(experts, p.rows);
  p.tiles = {static_cast<int>(row_tiles), static_cast<int>(pieces(p.weight_rows, Tile::kWeights))};
  const CUtensorMap weight_map =
      stage_map(kDTypeOf<typename Tile::T>, p.weight, experts * p.weight_rows, p.K, p.K, Tile::kWeightPart);
  const int64_t clusters = std::min<int64_t>(row_tiles * p.tiles.columns, context.num_sms / Tile::kCluster);
  launch<grouped_linear_sm90_kernel<Tile>>(context,
                                           {.grid = dim3(static_cast<unsigned>(clusters * Tile::kCluster)),
                                            .threads = Tile::kThreads,
                                            .shared_bytes = sizeof(typename Tile::Plan),
                                            .cluster = Tile::kCluster},
                                           p, weight_map);
}

}  // namespace warploop::cuda
