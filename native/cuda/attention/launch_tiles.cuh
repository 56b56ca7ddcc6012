// Host side of the tensor-core kernels: the shapes of tiles for each head width, and their launch.
#pragma once
#include "cuda/attention/wide.cuh"
#include "cuda/launch.h"

namespace warploop::cuda {

/// What the plan has to know about the kernels.
struct AttentionShape {
  int kernel;        // as PlanWord::kernel
  int tile_rows[2];  // narrow, wide
  int blocks_per_sm[2];
  int narrow_rows;  // sequences of more rows are wide
  int64_t totals_per_block[2];
};

/// Takes the plan of the call, or lays one into the workspace and lets the device make it.
AttentionPlan start_plan(const AttentionProblem& p, const AttentionShape& shape, CudaContext& context);
/// Lets the device make p.plan.
void fill_plan(const AttentionProblem& p, const AttentionShape& shape, CudaContext& context);
/// Blocks that can have something to do in the kernel of `kind`; 0: none.
unsigned attention_grid(const AttentionProblem& p, const AttentionPlan& plan, int kind);

/// The kernels for head widths up to some size.
struct AttentionTiles {
  using Run = void (*)(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context);

  AttentionShape shape;
  Run wide, narrow;  // in this order: the latter mends rows of the former
};

template <class Wide>
void run_wide(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context) {
  launch<attention_wide<Wide>>(
      context, {dim3(attention_grid(p, plan, 1)), Wide::kThreads, sizeof(typename Wide::Shared)}, p, plan);
}
template <class Narrow>
void run_narrow(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context) {
  // Also without narrow tiles: it mends rows of wide ones.
  const unsigned blocks = std::max(attention_grid(p, plan, 0), attention_grid(p, plan, 1));
  launch<attention_narrow<Narrow>>(context, {dim3(blocks), Narrow::kThreads, sizeof(typename Narrow::Shared)},
                                   p, plan);
}

template <class Narrow, class Wide>
AttentionTiles make_attention_tiles() {
  static_assert(Narrow::kBlocks <= kPlanBlocks[0] && Wide::kBlocks <= kPlanBlocks[1]);
  static_assert(Wide::kRows >= kPlanTileRows[1]);
  return {{Narrow::kDh,
           {kNarrowRows, Wide::kRows},
           {Narrow::kBlocks, Wide::kBlocks},
           kNarrowRows,
           {Narrow::kTotalsPerBlock, Wide::kTotalsPerBlock}},
          run_wide<Wide>,
          run_narrow<Narrow>};
}

/// Head widths up to kDh and kDv, those below filled up with zeros. In instances/, one file for each dtype
/// and width.
template <class T, int kDh, int kDv>
AttentionTiles attention_tiles_of();
/// The same with the Hopper kernel for wide tiles.
template <class T, int kDh, int kDv>
AttentionTiles hopper_tiles_of(const AttentionTiles& portable);

}  // namespace warploop::cuda
