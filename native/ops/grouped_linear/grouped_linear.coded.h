// The kernels of grouped_linear that read weights of codes (cuda/gemm/coded_streaming.cuh), compiled by
// themselves.
#pragma once
#include "cuda/cuda_context.h"
#include "ops/grouped_linear/grouped_linear.h"

namespace warploop::cuda {

/// Rows x columns of a tile.
enum class GroupedCodedTile { s8x64, s16x64 };

/// Null, or why they cannot run it.
const char* refuse_grouped_linear_coded(const GroupedLinearParams& p, const CudaContext& context);
void grouped_linear_coded(GroupedCodedTile tile, const GroupedLinearParams& p, CudaContext& context);

}  // namespace warploop::cuda
