// What:      out[r] = f(x[order[r] / top_k] W_e^T) for the expert e of row r, on sm_90a;
//            f = SwiGLU or nothing. bf16 or f16 operands, f32 sums. W: E times plain rows [16 panels, K], for
//            SwiGLU 16 gate, 16 up, 16 gate ...
// Steps:     1. the first block checks the groups
//            2. every warp walks the tiles of its block through the offsets; the host never sees them
//            3. producers: rows of x by cp.async (gathered), boxes of W by the copy engine, into a ring
//            4. consumers: wgmma from shared memory
//            5. SwiGLU; the rows of this expert are stored
// Mapping:   persistent blocks, one per SM; warpgroup 0: four producer warps; 1 and 2: consumers. Many rows
//            per expert: a tile is 128 rows of x by 256 (128) of W, a consumer has 64 rows of x; very many:
//            the two blocks of a cluster work on tiles one below the other and share W (multicast). Few
//            ("streams"): 64 rows of x by 128 of W, and the operands change places: a consumer has 64 rows of
//            W, which is what wgmma wants on its left side, and 8, 16, 32 or 64 rows of x on the right.
//            Experts one after another, the tiles of one in bands (cuda/gemm/tile_grid.h).
// Resources: many rows: 4 stages of 48 KiB + 16 KiB, 56 / 224 registers; streams: 8 of 24 KiB + 32 KiB
// Cost:      many rows: 2 M N K flop, tensor cores; streams: the weights of experts that have rows, memory
// Numerics:  sums in k order, f32, in all tiles: a row's result does not depend on its neighbours
// Limits:    see refuse_grouped_linear_sm90. Bad offsets are clamped, a bad row of `order` reads zeros.
// Source:    gather in the load, SwiGLU in the epilogue: SonicMoE, arXiv 2512.14080; exchanged
//            operands: https://github.com/deepseek-ai/DeepGEMM/pull/192
#include "ops/grouped_linear/grouped_linear.sm90.h"

#include <algorithm>
#include <cstdint>

#include "cuda/device/activations.cuh"
#include "cuda/device/async_copy.cuh"
#include "cuda/device/block.cuh"
#include "cuda/device/cluster.cuh"
#include "cuda/device/registers.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/gemm/hopper_pipeline.cuh"
#include "cuda/gemm/row_tiles.cuh"
#include "cuda/gemm/stage_map.h"
#include "cuda/gemm/tile_grid.h"
#include "cuda/gemm/tile_store.cuh"
#include "cuda/launch.h"

namespace warploop::cuda {

namespace {

/// Rows per expert, on average, up to which weights are streamed: some experts have twice as many.
constexpr int64_t kStreamedRows = 32;
/// And from which on pairs of blocks share W: half of an expert's last tile is idle on average.
constexpr int64_t kPairedRows = 512;

constexpr int kConsumers = 2, kThreads = kWarpgroup * (1 + kConsumers);
/// Per thread, of 168 at the start: 128 (56 + 2 * 224) of 65536.
constexpr int kProducerRegisters = 56, kConsumerRegisters = 224;

template <class T_, int kRows_, int kWeights_, int kCluster_, int kStages_, bool kStreams_>
struct GroupedTile {
  using T = T_;
  static constexpr int kRows = kRows_, kWeights = kWeights_, kCluster = kCluster_, kStages = kStages_;
  static constexpr bool kStreams = kStreams_;
  static constexpr int kWeightPart = kWeights / kCluster;  // rows of W that this block copies to the cluster
  static constexpr int kRowBytes = kRows * kStageRowBytes, kWeightBytes = kWeights * kStageRowBytes;
  /// Stages whose rows are under way when a producer waits for the one before them.
  static constexpr int kLag = kStreams ? 3 : 1;

  /// Sums of a consumer on their way from columns to rows of the result; the column is xored, see `staged`.
  using Turned = float[kRows][kWarpgroupRows];
  struct RowPlan {
    SpanStaging warps[4 * kConsumers];
  };
  struct StreamPlan {
    Turned sums[kConsumers];
  };
  struct Plan {
    alignas(1024) unsigned char rows[kStages][kRowBytes];
    unsigned char weights[kStages][kWeightBytes];
    std::conditional_t<kStreams, StreamPlan, RowPlan> staging;
    StageRing<kStages> ring;
  };
  static_assert(sizeof(Plan) <= kSharedBytesPerBlock && kRowBytes % 1024 == 0 && kWeightBytes % 1024 == 0);
  static_assert(kLag < kStages && kRows <= 128 && kWeightPart <= 256 && kWeightPart % 8 == 0);
  static_assert(kCluster == 1 || !kStreams);
};

/// A tile: rows of one expert, none in the last blocks of a cluster if it ends earlier, and weight rows
/// [weight, weight + kWeights) of it.
struct GroupedPlace {
  RowBlock rows;
  int weight;
};

template <class Tile>
WARPLOOP_DEVICE int rank_in_cluster() {
  return Tile::kCluster > 1 ? static_cast<int>(cluster_rank()) : 0;
}

/// Rows of x that wgmma multiplies with when they are its columns.
constexpr int wgmma_columns(int rows) { return rows <= 8 ? 8 : rows <= 16 ? 16 : rows <= 32 ? 32 : 64; }

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
        skipped(rank_in_cluster<Tile>() * Tile::kRows) {}

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
      const int part = rank_in_cluster<Tile>() * Tile::kWeightPart;
      const int weight_row = static_cast<int>(tile.rows.group * p.weight_rows) + tile.weight + part;
      unsigned char* weights = plan.weights[at.stage] + part * kStageRowBytes;
      if constexpr (Tile::kCluster == 1) {
        tma_load<2>(weights, weight_map, full, {k * kDepth, weight_row});
      } else {
        constexpr uint16_t kAllBlocks = (1u << Tile::kCluster) - 1;
        tma_load_multicast<2>(weights, weight_map, full, {k * kDepth, weight_row}, kAllBlocks);
      }
    }
    const uint32_t place =
        swizzled(Swizzle::b128, static_cast<uint32_t>(first_row * kStageRowBytes + piece * 16));
    const uint32_t to = shared_address(plan.rows[at.stage]) + place;
    const int column = k * kDepth + piece * 8;
    const auto* from = static_cast<const unsigned char*>(p.x) + 2 * column;
#pragma unroll
    for (int i = 0; i < kPasses; i++) {
      if (Tile::kStreams && i * kPassRows >= wgmma_columns(tile.rows.count)) continue;
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
  if (p.epilogue.swiglu) {
#pragma unroll
    for (int s = 0; s < Tile::kWeights / (2 * kSpanColumns); s++) {
      const Span span{row, row_end, tile.weight / 2 + s * kSpanColumns};
      float v[32];
      gated_span(d, s, p.epilogue, span.column, v);
      store_span<typename Tile::T>(p.epilogue, span, v, plan.staging.warps[warp]);
    }
  } else {
#pragma unroll
    for (int s = 0; s < Tile::kWeights / kSpanColumns; s++) {
      float v[32];
#pragma unroll
      for (int n = 0; n < 32; n++) v[n] = d[32 * s + n];
      const Span span{row, row_end, tile.weight + s * kSpanColumns};
      store_span<typename Tile::T>(p.epilogue, span, v, plan.staging.warps[warp]);
    }
  }
}

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
WARPLOOP_DEVICE float& staged(float (&sums)[64][kWarpgroupRows], int row, int weight) {
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
  const int outputs = e.swiglu ? kWarpgroupRows / 2 : kWarpgroupRows, column = e.swiglu ? weight / 2 : weight;
  for (int row = warp % 4; row < tile.rows.count; row += 4) {
    O* out = static_cast<O*>(e.out) + (tile.rows.first + row) * e.out_stride + column;
    for (int c = lane_index(); c < outputs && column + c < e.columns; c += kWarpSize) {
      const int gate = c / 16 * 32 + c % 16;
      const float value =
          e.swiglu ? silu(staged(sums, row, gate)) * staged(sums, row, gate + 16) : staged(sums, row, c);
      out[c] = from_float<O>(value);
    }
  }
}

template <class Tile>
WARPLOOP_DEVICE void consume(typename Tile::Plan& plan, const Product& p) {
  const int warp = warp_index() - 4;
  RingPosition<Tile::kStages> at;
  GroupCursor<Tile> cursor;
  GroupedPlace tile;
  while (cursor.find(p, tile)) {
    if constexpr (Tile::kStreams) {
      const int columns = wgmma_columns(tile.rows.count);
      if (columns == 8) {
        multiply_stream<Tile, 8>(plan, p, at, warp);
      } else if (columns == 16) {
        multiply_stream<Tile, 16>(plan, p, at, warp);
      } else if (columns == 32) {
        multiply_stream<Tile, 32>(plan, p, at, warp);
      } else {
        multiply_stream<Tile, 64>(plan, p, at, warp);
      }
      if (p.epilogue.out_dtype == DType::f32) {
        store_stream<Tile, float>(plan, p.epilogue, tile, warp);
      } else {
        store_stream<Tile, typename Tile::T>(plan, p.epilogue, tile, warp);
      }
    } else {
      multiply_rows<Tile>(plan, p, at, tile, warp);
    }
  }
}

template <class Tile>
__global__ void __launch_bounds__(kThreads, 1)
    grouped_linear_sm90_kernel(const __grid_constant__ Product p,
                               const __grid_constant__ CUtensorMap weight_map) {
  auto& plan = shared_plan<typename Tile::Plan>();
  if (threadIdx.x == 0) {
    tensor_map_prefetch(&weight_map);
    plan.ring.init(1 + 4,
                   4 * kConsumers * Tile::kCluster);  // bytes of W, four producer warps; consumer warps
  }
  check_groups(p);
  if constexpr (Tile::kCluster > 1) {
    cluster_sync();
  } else {
    sync_block();
  }
  if (warp_index() < 4) {
    if constexpr (!Tile::kStreams) set_registers_down<kProducerRegisters>();
    Producer<Tile> producer{plan, p, &weight_map};
    producer.run();
  } else {
    if constexpr (!Tile::kStreams) set_registers_up<kConsumerRegisters>();
    consume<Tile>(plan, p);
  }
  // Its peers write into this block's shared memory and barriers until they are done.
  if constexpr (Tile::kCluster > 1) cluster_sync();
}

template <class Tile>
void run(Product p, const CudaContext& context) {
  // Rows of tiles: as many as there are full ones, and one more for every expert that may have an odd rest.
  constexpr int kClusterRows = Tile::kRows * Tile::kCluster;
  const int64_t experts = p.groups.count, row_tiles = p.rows / kClusterRows + std::min(experts, p.rows);
  p.tiles = {static_cast<int>(row_tiles), static_cast<int>(pieces(p.weight_rows, Tile::kWeights))};
  const CUtensorMap weight_map =
      stage_map(kDTypeOf<typename Tile::T>, p.weight, experts * p.weight_rows, p.K, p.K, Tile::kWeightPart);
  const int64_t clusters = std::min<int64_t>(row_tiles * p.tiles.columns, context.num_sms / Tile::kCluster);
  launch<grouped_linear_sm90_kernel<Tile>>(context,
                                           {.grid = dim3(static_cast<unsigned>(clusters * Tile::kCluster)),
                                            .threads = kThreads,
                                            .shared_bytes = sizeof(typename Tile::Plan),
                                            .cluster = Tile::kCluster},
                                           p, weight_map);
}

/// Calls fn with the tile's type as an argument; it is not used.
template <class T, class Fn>
void dispatch_tile(GroupedHopperTile tile, const Fn& fn) {
  switch (tile) {
    case GroupedHopperTile::stream64x128:
      return fn(static_cast<GroupedTile<T, 64, 128, 1, 8, true>*>(nullptr));
    case GroupedHopperTile::t128x128:
      return fn(static_cast<GroupedTile<T, 128, 128, 1, 6, false>*>(nullptr));
    case GroupedHopperTile::pair128x256:
      return fn(static_cast<GroupedTile<T, 128, 256, 2, 4, false>*>(nullptr));
    case GroupedHopperTile::t128x256:
      return fn(static_cast<GroupedTile<T, 128, 256, 1, 4, false>*>(nullptr));
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
  const auto start = [&]<class Tile>(Tile*) { run<Tile>(product, context); };
  p.x.dtype == DType::bf16 ? dispatch_tile<bf16>(tile, start) : dispatch_tile<f16>(tile, start);
}

}  // namespace warploop::cuda
