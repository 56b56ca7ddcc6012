// The products of head_linear on the portable tiles of linear: one set of kernels, compiled once, serves
// both.
#pragma once
#include "cuda/cuda_context.h"
#include "cuda/gemm/product.h"

namespace warploop::cuda {

/// Runs `p`, whose x is `x` and whose weights are `weight`. aligned: rows of x can be copied in pieces of 16
/// bytes. In ops/linear/linear.cu.
void multiply_heads(const Product& p, DType x, DType weight, bool aligned, const CudaContext& context);

}  // namespace warploop::cuda
