// Which attention can run on tensor cores, and in tiles of which head widths.
#include "cuda/attention/launch_tiles.cuh"

namespace warploop::cuda {

// In instances/.
template <>
void attention_tiles_of<bf16, 64, 64>(const AttentionProblem&, CudaContext&);
template <>
void attention_tiles_of<bf16, 128, 128>(const AttentionProblem&, CudaContext&);
template <>
void attention_tiles_of<bf16, 192, 128>(const AttentionProblem&, CudaContext&);
template <>
void attention_tiles_of<bf16, 256, 256>(const AttentionProblem&, CudaContext&);
template <>
void attention_tiles_of<f16, 64, 64>(const AttentionProblem&, CudaContext&);
template <>
void attention_tiles_of<f16, 128, 128>(const AttentionProblem&, CudaContext&);
template <>
void attention_tiles_of<f16, 192, 128>(const AttentionProblem&, CudaContext&);
template <>
void attention_tiles_of<f16, 256, 256>(const AttentionProblem&, CudaContext&);

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

void attention_tiles(const AttentionProblem& p, CudaContext& context) {
  const auto run = [&]<class T>(T) {
    const int64_t Dh = p.q.size(2), Dv = p.v.size(3);
    if (Dh <= 64 && Dv <= 64) return attention_tiles_of<T, 64, 64>(p, context);
    if (Dh <= 128 && Dv <= 128) return attention_tiles_of<T, 128, 128>(p, context);
    if (Dh <= 192 && Dv <= 128) return attention_tiles_of<T, 192, 128>(p, context);
    return attention_tiles_of<T, 256, 256>(p, context);
  };
  if (p.q.dtype == DType::bf16) return run(bf16{});
  run(f16{});
}

}  // namespace warploop::cuda
