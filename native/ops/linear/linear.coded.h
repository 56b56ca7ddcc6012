// The kernels of linear that read a weight of codes (cuda/gemm/coded_streaming.cuh), compiled by themselves.
#pragma once
#include "cuda/cuda_context.h"
#include "ops/linear/linear.h"

namespace warploop::cuda {

/// Rows x columns of a tile.
enum class CodedTile { s8x64, s16x64 };

/// Null, or why they cannot run it.
const char* refuse_linear_coded(const LinearParams& p, const CudaContext& context);
void linear_coded(CodedTile tile, const LinearParams& p, CudaContext& context);

}  // namespace warploop::cuda
