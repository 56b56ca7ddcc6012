// The Hopper kernel of flashAttention, a candidate in flash_attention.cu's table.
#pragma once
#include "cuda/cuda_context.h"
#include "ops/flash_attention/flash_attention.h"

namespace warploop::cuda {

/// Null, or why flash_attention_sm90 cannot run `p` on this device.
const char* refuse_flash_attention_sm90(const FlashAttentionParams& p, const CudaContext& context);
void flash_attention_sm90(const FlashAttentionParams& p, CudaContext& context);

}  // namespace warploop::cuda
