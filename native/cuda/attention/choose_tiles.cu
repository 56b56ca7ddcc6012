// Which attention can run on tensor cores, and in tiles of which head widths.
#include "cuda/attention/kernels.h"
#include "cuda/attention/launch_tiles.cuh"
#include "cuda/device/vectors.cuh"

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
template <>
AttentionTiles code_tiles_of<bf16, 64, 64>();
template <>
AttentionTiles code_tiles_of<bf16, 128, 128>();
template <>
AttentionTiles latent_tiles_of<bf16>();
template <>
AttentionTiles latent_tiles_of<f16>();
template <>
AttentionTiles hopper_tiles_of<bf16, 64, 64>(const AttentionTiles&);
template <>
AttentionTiles hopper_tiles_of<bf16, 128, 128>(const AttentionTiles&);
template <>
AttentionTiles hopper_tiles_of<bf16, 192, 128>(const AttentionTiles&);
template <>
AttentionTiles hopper_tiles_of<bf16, 256, 256>(const AttentionTiles&);
template <>
AttentionTiles hopper_tiles_of<f16, 64, 64>(const AttentionTiles&);
template <>
AttentionTiles hopper_tiles_of<f16, 128, 128>(const AttentionTiles&);
template <>
AttentionTiles hopper_tiles_of<f16, 192, 128>(const AttentionTiles&);
template <>
AttentionTiles hopper_tiles_of<f16, 256, 256>(const AttentionTiles&);

namespace {

constexpr const char* kChosenTokens = "indices choose the tokens";
constexpr const char* kLatentCodes = "latents are codes";

bool has_small_shared(const CudaContext& context) {
  return context.compute_capability > 80 && context.compute_capability < 90;
}

/// Of dtypes and addresses, why tensor cores cannot run this.
const char* refuse_operands(const AttentionProblem& p) {
  const int elements = is_code(p.k.dtype) ? 16 : 8, bytes = 16 / elements;
  if (p.q.dtype == DType::f32) return "q is f32";
  // The range of f16 is too small for probabilities times scales.
  if (is_code(p.k.dtype) && p.q.dtype != DType::bf16) return "keys and values are codes and q is not bf16";
  if (!is_code(p.k.dtype) && p.k.dtype != p.q.dtype) return "q and k differ in dtype";
  if (!is_aligned(p.q, 8, 2) || !is_aligned(p.k, elements, bytes) || !is_aligned(p.v, elements, bytes))
    return kUnalignedKeys;
  return is_aligned(p.out, p.out.dtype == DType::f32 ? 4 : 2, 2) ? nullptr : kUnalignedPairs;
}

/// What the tiles of paged attention are too narrow for.
bool is_wide_latent(const AttentionProblem& p) { return p.latent && p.k.size(3) > 256; }

}  // namespace

const char* refuse_attention_tiles(const AttentionProblem& p, const CudaContext& context) {
  const int64_t width = std::max(p.q.size(2), p.v.size(3));
  if (p.indices) return kChosenTokens;
  if (p.latent && is_code(p.k.dtype)) return kLatentCodes;
  if (width > 256) return "Dh or Dv is larger than 256";
  if (is_code(p.k.dtype) && width > 128) return "keys and values are codes and Dh or Dv is larger than 128";
  if (const char* reason = refuse_operands(p)) return reason;
  const int64_t most = is_code(p.k.dtype) ? 64 : 128;  // of shared memory
  if (has_small_shared(context) && width > most)
    return is_code(p.k.dtype) ? "the GPU has less than 101 KiB of shared memory"
                              : "the GPU has less than 131 KiB of shared memory";
  return nullptr;
}

const char* refuse_attention_latents(const AttentionProblem& p, const CudaContext&) {
  if (!p.latent) return "keys and values are no latents";
  return is_code(p.k.dtype) ? kLatentCodes : refuse_operands(p);
}

const char* refuse_attention_hopper(const AttentionProblem& p, const CudaContext& context) {
  if (context.compute_capability != 90) return "the device is not sm_90";
  if (is_code(p.k.dtype)) return p.latent ? kLatentCodes : "keys and values are codes";
  if (p.indices) return kChosenTokens;
  if (is_wide_latent(p))
    return p.q.dtype == DType::f16 ? "latents wider than 256 of f16" : refuse_operands(p);
  return refuse_attention_tiles(p, context);
}

namespace {

template <class T, int kDh, int kDv>
AttentionTiles tiles_of_width(bool hopper) {
  const AttentionTiles portable = attention_tiles_of<T, kDh, kDv>();
  return hopper ? hopper_tiles_of<T, kDh, kDv>(portable) : portable;
}

AttentionTiles latent_tiles_for(const AttentionProblem& p) {
  return p.q.dtype == DType::bf16 ? latent_tiles_of<bf16>() : latent_tiles_of<f16>();
}

AttentionTiles tiles_for(const AttentionProblem& p, bool hopper) {
  if (is_wide_latent(p)) return hopper_latent_tiles(latent_tiles_of<bf16>());
  if (is_code(p.k.dtype)) {
    const bool fits = p.q.size(2) <= 64 && p.v.size(3) <= 64;
    return fits ? code_tiles_of<bf16, 64, 64>() : code_tiles_of<bf16, 128, 128>();
  }
  const auto choose = [&]<class T>(T) {
    const int64_t Dh = p.q.size(2), Dv = p.v.size(3);
    if (Dh <= 64 && Dv <= 64) return tiles_of_width<T, 64, 64>(hopper);
    if (Dh <= 128 && Dv <= 128) return tiles_of_width<T, 128, 128>(hopper);
    if (Dh <= 192 && Dv <= 128) return tiles_of_width<T, 192, 128>(hopper);
    return tiles_of_width<T, 256, 256>(hopper);
  };
  return p.q.dtype == DType::bf16 ? choose(bf16{}) : choose(f16{});
}

void run(const AttentionProblem& p, const AttentionTiles& tiles, CudaContext& context) {
  const AttentionPlan plan = start_plan(p, tiles.shape, context);
  for (int kind = kKinds - 1; kind >= 0; kind--) {
    if (tiles.run[kind]) tiles.run[kind](p, plan, context);
  }
}

}  // namespace

void attention_tiles(const AttentionProblem& p, CudaContext& context) {
  run(p, tiles_for(p, false), context);
}
void attention_latents(const AttentionProblem& p, CudaContext& context) {
  run(p, latent_tiles_for(p), context);
}
void attention_hopper(const AttentionProblem& p, CudaContext& context) {
  run(p, tiles_for(p, true), context);
}

void plan_attention_tiles(const AttentionProblem& p, CudaContext& context) {
  fill_plan(p, tiles_for(p, false).shape, context);
}
void plan_attention_latents(const AttentionProblem& p, CudaContext& context) {
  fill_plan(p, latent_tiles_for(p).shape, context);
}
void plan_attention_hopper(const AttentionProblem& p, CudaContext& context) {
  fill_plan(p, tiles_for(p, true).shape, context);
}

}  // namespace warploop::cuda
