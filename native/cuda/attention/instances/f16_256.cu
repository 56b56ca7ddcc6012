// Head widths up to 256: Gemma, Qwen3-Next.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

template <>
AttentionTiles attention_tiles_of<f16, 256, 256>() {
  return make_attention_tiles<NarrowShape<f16, 256, 256, 2, 1>, WideShape<f16, 256, 256, 1, 32, 2>>();
}

}  // namespace warploop::cuda
