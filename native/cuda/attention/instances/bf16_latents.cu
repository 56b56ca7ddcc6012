// Latents of up to 576 columns, values of up to 512: DeepSeek V2 and V3.
#include "cuda/attention/launch_latent_tiles.cuh"

namespace warploop::cuda {

template <>
AttentionTiles latent_tiles_of<bf16>() {
  return make_latent_tiles<bf16>();
}

}  // namespace warploop::cuda
