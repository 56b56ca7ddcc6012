// Head widths up to 128, keys and values kept as codes.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

template <>
AttentionTiles code_tiles_of<bf16, 128, 128>() {
  return make_attention_tiles<NarrowShape<bf16, 128, 128, 2, 3, true>,
                              WideShape<bf16, 128, 128, 2, 32, 2, true>>();
}

}  // namespace warploop::cuda
