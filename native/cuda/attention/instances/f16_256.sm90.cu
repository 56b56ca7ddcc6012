// Head widths up to 256: Gemma, Qwen3-Next, on an sm_90.
#include "cuda/attention/launch_hopper.cuh"

namespace warploop::cuda {

template <>
AttentionTiles hopper_tiles_of<f16, 256, 256>(const AttentionTiles& portable) {
  return make_hopper_tiles<HopperShape<f16, 256, 256, 64, 1>, HopperShape<f16, 256, 256, 64, 2>>(portable);
}

}  // namespace warploop::cuda
