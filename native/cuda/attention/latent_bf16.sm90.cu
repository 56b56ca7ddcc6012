// Latents of up to 576 columns, values of up to 512: DeepSeek V2 and V3, on an sm_90.
#include "cuda/attention/launch_latent.cuh"

namespace warploop::cuda {

AttentionTiles hopper_latent_tiles(const AttentionTiles& portable) {
  return make_hopper_latent_tiles<LatentShape<bf16>>(portable);
}

}  // namespace warploop::cuda
