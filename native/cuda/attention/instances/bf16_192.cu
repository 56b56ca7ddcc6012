// Keys of 192 and values of 128: DeepSeek's multi-head attention of prompts.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

template <>
void attention_tiles_of<bf16, 192, 128>(const AttentionProblem& p, CudaContext& context) {
  launch_attention_tiles<NarrowShape<bf16, 192, 128, 2, 2>, WideShape<bf16, 192, 128, 1, 64, 2>>(p, context);
}

}  // namespace warploop::cuda
