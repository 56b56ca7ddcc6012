// Keys of 192 and values of 128: DeepSeek's multi-head attention of prompts.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

template <>
AttentionTiles attention_tiles_of<bf16, 192, 128>() {
  return make_attention_tiles<NarrowShape<bf16, 192, 128, 2, 2>, WideShape<bf16, 192, 128, 1, 64, 2>>();
}

}  // namespace warploop::cuda
