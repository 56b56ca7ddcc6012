// Head widths up to 64: Llama 3.2 1B, Qwen2.5 0.5B, gpt-oss, on an sm_90.
#include "cuda/attention/launch_hopper.cuh"

namespace warploop::cuda {

template <>
AttentionTiles hopper_tiles_of<bf16, 64, 64>(const AttentionTiles& portable) {
  return make_hopper_tiles<HopperShape<bf16, 64, 64, 128, 1>, HopperShape<bf16, 64, 64, 128, 2>>(portable);
}

}  // namespace warploop::cuda
