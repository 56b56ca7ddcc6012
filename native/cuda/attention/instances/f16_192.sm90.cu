// Keys of 192 and values of 128: DeepSeek's multi-head attention of prompts, on an sm_90.
#include "cuda/attention/launch_hopper.cuh"

namespace warploop::cuda {

template <>
AttentionTiles hopper_tiles_of<f16, 192, 128>(const AttentionTiles& portable) {
  return make_hopper_tiles<HopperShape<f16, 192, 128, 64, 1>, HopperShape<f16, 192, 128, 128, 2>>(portable);
}

}  // namespace warploop::cuda
