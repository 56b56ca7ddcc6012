// Host side of the Hopper kernel over latents.
#pragma once
#include "cuda/attention/latent.cuh"
#include "cuda/attention/launch_hopper.cuh"

namespace warploop::cuda {

template <class S>
void run_latent(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context) {
  const unsigned blocks = attention_grid(p, plan, kNarrow);
  if (blocks == 0) return;
  HopperCopies copies{box_tokens_of(p, S::kKeys), false};
  CUtensorMap latent_map{};
  const CUtensorMap q_map = map_of_queries(p, plan.group, S::kRows, copies);
  if (copies.box_tokens > 0) {
    const BoxedTensor latents = boxed_keys(p, p.k, copies.box_tokens);
    if (!latents.has_map()) copies.box_tokens = 0;
    if (copies.box_tokens > 0) latent_map = latents.map();
  }
  const LaunchShape shape{.grid = dim3(blocks),
                          .threads = S::kThreads,
                          .shared_bytes = sizeof(typename S::Shared),
                          .blocks = S::kBlocks};
  launch<attention_latent<S>>(context, shape, p, plan, copies, q_map, latent_map);
}

/// All sequences have tiles of 64 rows, in the list of narrow ones: one kernel.
template <class S>
AttentionTiles make_latent_tiles() {
  return {.shape = {.kernel = S::kDh + 1,
                    .tile_rows = {S::kRows, S::kRows, S::kRows},
                    .most_rows = {INT_MAX, INT_MAX, INT_MAX},
                    .blocks_per_sm = {S::kBlocks, 1, 1},
                    .totals_per_block = {S::kTotalsPerBlock, 0, 0},
                    .keeps_narrow_spans = true},
          .run = {run_latent<S>, nullptr, nullptr}};
}

}  // namespace warploop::cuda
