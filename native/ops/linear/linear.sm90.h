// The linear layer on sm_90a.
#pragma once
#include "cuda/cuda_context.h"
#include "cuda/gemm/product.h"
#include "ops/linear/linear.h"

namespace warploop::cuda {

/// The operands and the epilogue, without a schedule. In linear.cu.
Product product_of(const LinearParams& p, const CudaContext& context);

/// Null, or why this kernel cannot run, or should not: few rows stream weights, which the portable kernel
/// does.
const char* refuse_linear_sm90(const LinearParams& p, const CudaContext& context);

void linear_sm90(const LinearParams& p, CudaContext& context);

}  // namespace warploop::cuda
