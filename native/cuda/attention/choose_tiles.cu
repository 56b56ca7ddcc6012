// Which attention can run on tensor cores, and in tiles of which head widths.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

// In instances/.
template <>
AttentionTiles attention_tiles_of<bf16, 64, 64>();
template <>
AttentionTiles attention_tiles_of<bf16, 128, 128>();
template <>
AttentionTiles attention_tiles_of<bf16, 192, 128>();
template <>
AttentionTiles attention_tiles_of<bf16, 256, 256>();
template <>
AttentionTiles attention_tiles_of<f16, 64, 64>();
template <>
AttentionTiles attention_tiles_of<f16, 128, 128>();
template <>
AttentionTiles attention_tiles_of<f16, 192, 128>();
template <>
AttentionTiles attention_tiles_of<f16, 256, 256>();

const char* refuse_attention_tiles(const AttentionProblem& p, const CudaContext& context) {
  const auto aligned = [](const TensorView& t, int64_t elements) {
    bool ok = reinterpret_cast<uintptr_t>(t.data) % (elements * 2) == 0;
    for (int axis = 0; axis + 1 < t.rank; axis++) ok = ok && t.stride(axis) % elements == 0;
    return ok;
  };
  const int64_t Dh = p.q.size(2), Dv = p.v.size(3);
  if (p.q.dtype == DType::f32) return "q is f32";
  if (p.k.dtype != p.q.dtype) return "q and k differ in dtype";
  if (Dh > 256 || Dv > 256) return "Dh or Dv is larger than 256";
  if (!aligned(p.q, 8) || !aligned(p.k, 8) || !aligned(p.v, 8))
    return "rows of q, k or v are not aligned to 16 bytes";
  if (!aligned(p.out, p.out.dtype == DType::f32 ? 4 : 2)) return "pairs of out are not aligned";
  const bool small_shared = context.compute_capability > 80 && context.compute_capability < 90;
  if (small_shared && (Dh > 128 || Dv > 128)) return "the GPU has less than 131 KiB of shared memory";
  return nullptr;
}

static AttentionTiles tiles_for(const AttentionProblem& p) {
  const auto choose = [&]<class T>(T) {
    const int64_t Dh = p.q.size(2), Dv = p.v.size(3);
    if (Dh <= 64 && Dv <= 64) return attention_tiles_of<T, 64, 64>();
    if (Dh <= 128 && Dv <= 128) return attention_tiles_of<T, 128, 128>();
    if (Dh <= 192 && Dv <= 128) return attention_tiles_of<T, 192, 128>();
    return attention_tiles_of<T, 256, 256>();
  };
  return p.q.dtype == DType::bf16 ? choose(bf16{}) : choose(f16{});
}

void attention_tiles(const AttentionProblem& p, CudaContext& context) {
  const AttentionTiles tiles = tiles_for(p);
  tiles.run(p, tiles.shape, context);
}

void plan_attention_tiles(const AttentionProblem& p, CudaContext& context) {
  fill_plan(p, tiles_for(p).shape, context);
}

}  // namespace warploop::cuda
