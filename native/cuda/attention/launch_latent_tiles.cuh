// Host side of the portable kernel over latents: its tiles.
#pragma once
#include "cuda/attention/latent_tiles.cuh"
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

template <class S, int kKind>
void run_latent_tiles(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context) {
  launch<attention_latent_tiles<S>>(
      context, {dim3(attention_grid(p, plan, kKind)), S::kThreads, sizeof(typename S::Shared)}, p, plan,
      int{kKind});
}

/// A sequence of up to 16 rows is one narrow tile of 16, others have tiles of 32: wide ones, and middle
/// ones where another kernel takes sequences of more than one. All mend their rows themselves.
template <class T>
AttentionTiles make_latent_tiles() {
  using Narrow = SmallLatentShape<T, 1>;
  using Wide = SmallLatentShape<T, 2>;
  static_assert(Narrow::kRows == kNarrowRows && Wide::kRows >= kPlanTileRows[kWide]);
  static_assert(Narrow::kBlocks <= kPlanBlocks[kNarrow] && Wide::kBlocks <= kPlanBlocks[kWide]);
  return {
      .shape = {.kernel = Narrow::kDh,
                .tile_rows = {Narrow::kRows, Wide::kRows, Wide::kRows},
                .most_rows = {Narrow::kRows, Narrow::kRows, INT_MAX},
                .blocks_per_sm = {Narrow::kBlocks, Wide::kBlocks, Wide::kBlocks},
                .totals_per_block = {Narrow::kTotalsPerBlock, Wide::kTotalsPerBlock, Wide::kTotalsPerBlock},
                .keeps_narrow_spans = true},
      .run = {run_latent_tiles<Narrow, kNarrow>, run_latent_tiles<Wide, kMiddle>,
              run_latent_tiles<Wide, kWide>}};
}

}  // namespace warploop::cuda
