// Host side of the tensor-core kernels: the shapes of tiles for each head width, and their launch.
#pragma once
#include <climits>

#include "cuda/attention/wide.cuh"
#include "cuda/launch.h"

namespace warploop::cuda {

/// What the plan has to know about the kernels.
struct AttentionShape {
  int kernel;  // as PlanWord::kernel
  // Of the tiles of each kind.
  int tile_rows[kKinds];
  int most_rows[kKinds];  // of a sequence; as AttentionPlan has them
  int blocks_per_sm[kKinds];
  int64_t totals_per_block[kKinds];
  bool keeps_narrow_spans = false;  // in memory, as other kinds do
};

/// Takes the plan of the call, or lays one into the workspace and lets the device make it.
AttentionPlan start_plan(const AttentionProblem& p, const AttentionShape& shape, CudaContext& context);
/// Lets the device make p.plan.
void fill_plan(const AttentionProblem& p, const AttentionShape& shape, CudaContext& context);
/// Blocks that can have something to do in the kernel of `kind`; 0: it is not needed.
unsigned attention_grid(const AttentionProblem& p, const AttentionPlan& plan, int kind);
/// The same of a narrow kernel that mends the rows of the other kinds.
unsigned mending_grid(const AttentionProblem& p, const AttentionPlan& plan);

/// The kernels for head widths up to some size.
struct AttentionTiles {
  using Run = void (*)(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context);

  AttentionShape shape;
  Run run[kKinds];  // narrow tiles last: their kernel mends rows of the others. Null: there are no such tiles
};

template <class Wide>
void run_wide(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context) {
  launch<attention_wide<Wide>>(
      context, {dim3(attention_grid(p, plan, kWide)), Wide::kThreads, sizeof(typename Wide::Shared)}, p,
      plan);
}
template <class Narrow>
void run_narrow(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context) {
  launch<attention_narrow<Narrow>>(
      context, {dim3(mending_grid(p, plan)), Narrow::kThreads, sizeof(typename Narrow::Shared)}, p, plan);
}

template <class Narrow, class Wide>
AttentionTiles make_attention_tiles() {
  static_assert(Narrow::kBlocks <= kPlanBlocks[kNarrow] && Wide::kBlocks <= kPlanBlocks[kWide]);
  static_assert(Wide::kRows >= kPlanTileRows[kWide]);
  static_assert(Narrow::kCodes == Wide::kCodes);
  return {.shape = {.kernel = Narrow::kDh + (Narrow::kCodes ? 2 : 0),
                    .tile_rows = {kNarrowRows, Wide::kRows, Wide::kRows},
                    .most_rows = {kNarrowRows, kNarrowRows, INT_MAX},
                    .blocks_per_sm = {Narrow::kBlocks, Wide::kBlocks, Wide::kBlocks},
                    .totals_per_block = {Narrow::kTotalsPerBlock, 0, Wide::kTotalsPerBlock}},
          .run = {run_narrow<Narrow>, nullptr, run_wide<Wide>}};
}

/// Head widths up to kDh and kDv, those below filled up with zeros. In instances/, one file for each dtype
/// and width.
template <class T, int kDh, int kDv>
AttentionTiles attention_tiles_of();
/// The same for keys and values that are codes.
template <class T, int kDh, int kDv>
AttentionTiles code_tiles_of();
/// The same with the Hopper kernel for middle and wide tiles.
template <class T, int kDh, int kDv>
AttentionTiles hopper_tiles_of(const AttentionTiles& portable);
/// Small tiles over latents of any width.
template <class T>
AttentionTiles latent_tiles_of();
/// The same of bf16 with the Hopper kernel for sequences of more rows.
AttentionTiles hopper_latent_tiles(const AttentionTiles& portable);

}  // namespace warploop::cuda
