// The kernels of attention, for choose_kernel.cu.
#pragma once
#include "cuda/attention/attention.h"

namespace warploop::cuda {

/// One of the reasons below. A plan is made without knowing where rows lie: it is for aligned ones.
inline constexpr const char kUnalignedKeys[] = "rows of q, k or v are not aligned to 16 bytes",
                            kUnalignedPairs[] = "pairs of out are not aligned";
/// Why the tensor-core kernels cannot run this, or null.
const char* refuse_attention_tiles(const AttentionProblem& p, const CudaContext& context);
/// bf16 | f16 throughout, on tensor cores.
void attention_tiles(const AttentionProblem& p, CudaContext& context);
/// The same over latents of any width, of all tokens or of chosen ones.
const char* refuse_attention_latents(const AttentionProblem& p, const CudaContext& context);
void attention_latents(const AttentionProblem& p, CudaContext& context);
/// Of all tokens, on an sm_90, with wgmma for tiles of many rows.
const char* refuse_attention_hopper(const AttentionProblem& p, const CudaContext& context);
void attention_hopper(const AttentionProblem& p, CudaContext& context);
/// Everything else, with plain multiply-adds.
void attention_any(const AttentionProblem& p, CudaContext& context);

/// Make p.plan for calls of these.
void plan_attention_tiles(const AttentionProblem& p, CudaContext& context);
void plan_attention_latents(const AttentionProblem& p, CudaContext& context);
void plan_attention_hopper(const AttentionProblem& p, CudaContext& context);
void plan_attention_any(const AttentionProblem& p, CudaContext& context);

}  // namespace warploop::cuda
