// Head widths up to 128: most models.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

template <>
AttentionTiles attention_tiles_of<bf16, 128, 128>() {
  return make_attention_tiles<NarrowShape<bf16, 128, 128, 2, 3>, WideShape<bf16, 128, 128, 2, 64, 2>>();
}

}  // namespace warploop::cuda
