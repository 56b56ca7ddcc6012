// Grouped linear layers (the experts of a mixture) on sm_90a.
#pragma once
#include "cuda/cuda_context.h"
#include "cuda/gemm/product.h"
#include "ops/grouped_linear/grouped_linear.h"

namespace warploop::cuda {

/// The operands, the groups and the epilogue, without a schedule. In grouped_linear.cu.
Product product_of(const GroupedLinearParams& p, const CudaContext& context);

/// Null, or why this kernel cannot run.
const char* refuse_grouped_linear_sm90(const GroupedLinearParams& p, const CudaContext& context);

void grouped_linear_sm90(const GroupedLinearParams& p, CudaContext& context);

}  // namespace warploop::cuda
