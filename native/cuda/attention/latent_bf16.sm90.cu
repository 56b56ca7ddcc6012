// Latents of up to 576 columns, values of up to 512: DeepSeek V2 and V3, on an sm_90.
#include "cuda/attention/launch_latent.cuh"

namespace warploop::cuda {

AttentionTiles latent_tiles() { return make_latent_tiles<LatentShape<bf16>>(); }

}  // namespace warploop::cuda
