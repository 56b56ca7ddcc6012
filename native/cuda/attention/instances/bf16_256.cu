// Head widths up to 256: Gemma, Qwen3-Next.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

template <>
void attention_tiles_of<bf16, 256, 256>(const AttentionProblem& p, CudaContext& context) {
  launch_attention_tiles<NarrowShape<bf16, 256, 256, 2, 1>, WideShape<bf16, 256, 256, 1, 32, 2>>(p, context);
}

}  // namespace warploop::cuda
