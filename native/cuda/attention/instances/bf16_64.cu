// Head widths up to 64: Llama 3.2 1B, Qwen2.5 0.5B, gpt-oss.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

template <>
AttentionTiles attention_tiles_of<bf16, 64, 64>() {
  return make_attention_tiles<NarrowShape<bf16, 64, 64, 4, 3>, WideShape<bf16, 64, 64, 2, 64, 2>>();
}

}  // namespace warploop::cuda
