// Host side of the matrix products: grids, splits and the start of the kernels.
#pragma once
#include <algorithm>

#include "cuda/gemm/fma.cuh"
#include "cuda/gemm/streaming.cuh"
#include "cuda/gemm/tiles.cuh"
#include "cuda/launch.h"
#include "cuda/workspace.h"
#include "formats/weight_view.h"

namespace warploop::cuda {

/// Whether `t` is read and written in vectors of `elements` from any row's multiple of `elements` on.
inline bool vectors_of(const TensorView& t, int elements) {
  const size_t bytes = bytes_of(t.dtype, static_cast<size_t>(elements));
  return reinterpret_cast<uintptr_t>(t.data) % bytes == 0 && (t.size(0) <= 1 || t.stride(0) % elements == 0);
}

/// Whether rows of 16-bit operands can be copied in pieces of 16 bytes.
inline bool pieces_of_16_bytes(const TensorView& x) { return vectors_of(x, 8) && x.size(1) % 8 == 0; }

/// Operands and schedule without groups, bias, residual.
inline Product product_of(const TensorView& x, const WeightView& weight, const TensorView& out,
                          const CudaContext& context) {
  Product p{};
  p.x = x.data;
  p.x_stride = x.stride(0);
  p.x_rows = x.size(0);
  p.weight = weight.data.data;
  p.weight_rows = weight.data.size(1);
  p.rows = out.size(0);
  p.K = static_cast<int>(x.size(1));
  p.padded_K = static_cast<int>(weight.data.size(2));
  p.groups.count = static_cast<int>(weight.data.size(0));
  p.heads.count = 1;
  p.epilogue.out = out.data;
  p.epilogue.out_stride = out.stride(0);
  p.epilogue.out_dtype = out.dtype;
  p.epilogue.columns = out.size(1);
  p.epilogue.gate_dtype = DType::f32;
  p.epilogue.swiglu = weight.swiglu;
  p.epilogue.quads = vectors_of(out, 4);
  p.counters = context.counters;
  return p;
}

/// Row tiles that hold `rows` rows of `groups` groups however they are spread; at least one, which checks the
/// offsets.
inline int64_t most_row_tiles(int64_t rows, int64_t groups, int tile_rows) {
  // Groups with rows, each of which may start a tile that it does not fill.
  const int64_t started = std::min(rows, groups);
  return std::max<int64_t>((rows + started * (tile_rows - 1)) / tile_rows, 1);
}

/// How many blocks share the K of each tile: as many as end soonest, in waves of blocks over the SMs. Times
/// are counted in steps: a block takes kStart besides its own, and adding up the splits takes kReduce
/// (about 1.5 us).
inline int choose_splits(int64_t tiles, int64_t tile_bytes, int64_t steps, int min_steps, int64_t slots,
                         const CudaContext& context) {
  constexpr int64_t kStart = 2, kReduce = 3;
  if (tiles == 0 || tiles > context.num_counters) return 1;
  const int64_t room = context.workspace_bytes / (tiles * tile_bytes);
  const int64_t most = std::min({steps / min_steps, slots, room});
  const auto cost = [&](int64_t splits) {
    const int64_t waves = (tiles * splits + slots - 1) / slots, each = (steps + splits - 1) / splits;
    return waves * (each + kStart) + (splits > 1 ? kReduce : 0);
  };
  int64_t best = 1;
  for (int64_t splits = 2; splits <= most; splits++) {
    if (cost(splits) < cost(best)) best = splits;
  }
  return static_cast<int>(best);
}

/// Fills in the schedule of `p` for kernels of `Shape`.
template <class Shape, class Plan>
LaunchShape schedule(Product& p, const CudaContext& context) {
  const bool grouped = p.groups.offsets != nullptr;
  const int64_t row_tiles = grouped ? most_row_tiles(p.rows, p.groups.count, Shape::kRows)
                                    : (p.rows + Shape::kRows - 1) / Shape::kRows;
  const int64_t column_tiles = (p.weight_rows + Shape::kColumns - 1) / Shape::kColumns;
  p.tiles = {static_cast<int>(row_tiles), static_cast<int>(column_tiles)};
  const int64_t tiles = row_tiles * column_tiles * p.heads.count;
  const int64_t steps = (p.padded_K + Shape::kStepDepth - 1) / Shape::kStepDepth;
  constexpr int64_t kTileBytes = 4 * Shape::kRows * Shape::kColumns;
  const int64_t slots = int64_t{Shape::kBlocks} * context.num_sms;
  p.splits = grouped ? 1  // the tiles of the experts are many
                     : choose_splits(tiles, kTileBytes, steps, Shape::kMinSteps, slots, context);
  if (p.splits > 1)
    p.partials = Workspace(context).take<float>(tiles * p.splits * Shape::kRows * Shape::kColumns);
  return {dim3(static_cast<unsigned>(p.tiles.count() * p.splits), static_cast<unsigned>(p.heads.count)),
          Shape::kThreads, sizeof(Plan)};
}

template <class T, class Shape, bool kGrouped, bool kAligned = true>
void launch_tiles(Product p, const CudaContext& context) {
  const LaunchShape shape = schedule<Shape, TilePlan<Shape>>(p, context);
  launch<multiply_tiles<T, Shape, kGrouped, kAligned>>(context, shape, p);
}

template <class T, class Shape, bool kGrouped>
void launch_streaming(Product p, const CudaContext& context) {
  const LaunchShape shape = schedule<Shape, StreamPlan<Shape>>(p, context);
  launch<multiply_streaming<T, Shape, kGrouped>>(context, shape, p);
}

template <class W, class Shape, bool kGrouped>
void launch_fma(Product p, const CudaContext& context) {
  const LaunchShape shape = schedule<Shape, FmaPlan<Shape>>(p, context);
  launch<multiply_fma<W, Shape, kGrouped>>(context, shape, p);
}

/// f32 x with a weight of any float dtype.
template <bool kGrouped>
void launch_f32(const Product& p, DType weight, const CudaContext& context) {
  const int64_t groups =
      p.groups.offsets ? std::max<int64_t>(std::min<int64_t>(p.rows, p.groups.count), 1) : 1;
  const bool few = p.rows <= 16 * groups;
  dispatch_float(weight, [&]<class W>(W) {
    few ? launch_fma<W, FmaShape<16>, kGrouped>(p, context)
        : launch_fma<W, FmaShape<64>, kGrouped>(p, context);
  });
}

// The shapes, rows x columns. At most 99 KiB of shared memory, which every GPU from sm_80 on has.
using Stream8x16 = StreamShape<8, 16, 4, 8, 4>;
using Stream8x32 = StreamShape<8, 32, 4, 6, 3>;
using Stream8x64 = StreamShape<8, 64, 4, 5, 2>;
using Stream16x64 = StreamShape<16, 64, 4, 4, 2>;
using Tile32x128 = TileShape<32, 128, 32, 32, 4, 2>;
using Tile64x64 = TileShape<64, 64, 32, 32, 4, 3>;
using Tile64x128 = TileShape<64, 128, 32, 64, 4, 2>;
using Tile128x128 = TileShape<128, 128, 64, 32, 3, 2>;
using TileUnaligned = TileShape<64, 64, 32, 32, 2, 2>;
inline constexpr size_t kMostShared = 99u << 10;
static_assert(sizeof(TilePlan<Tile128x128>) <= kMostShared && sizeof(TilePlan<Tile64x128>) <= kMostShared);
static_assert(sizeof(StreamPlan<Stream8x64>) <= kMostShared &&
              sizeof(StreamPlan<Stream16x64>) <= kMostShared);

}  // namespace warploop::cuda
