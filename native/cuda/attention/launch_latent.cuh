// Host side of the Hopper kernel over latents.
#pragma once
#include "cuda/attention/latent.cuh"
#include "cuda/attention/launch_hopper.cuh"

namespace warploop::cuda {

template <class S>
void run_latent(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context) {
  const unsigned blocks = attention_grid(p, plan, S::kKind);
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

/// Tiles of 64 rows for sequences of more than 32 rows. Others keep the smaller ones, which are predicted to
/// be no slower: docs/kernels/mla_attention.md.
template <class S>
AttentionTiles make_hopper_latent_tiles(const AttentionTiles& portable) {
  AttentionTiles tiles = portable;
  tiles.shape.kernel++;
  tiles.shape.most_rows[kMiddle] = tiles.shape.tile_rows[kMiddle];  // one tile each
  set_hopper_tiles<S>(tiles, run_latent<S>);
  return tiles;
}

}  // namespace warploop::cuda
