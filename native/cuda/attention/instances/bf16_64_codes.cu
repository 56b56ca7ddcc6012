// Head widths up to 64, keys and values kept as codes.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

template <>
AttentionTiles code_tiles_of<bf16, 64, 64>() {
  return make_attention_tiles<NarrowShape<bf16, 64, 64, 4, 3, true>,
                              WideShape<bf16, 64, 64, 2, 64, 2, true>>();
}

}  // namespace warploop::cuda
