// Grouped linear layers (the experts of a mixture) on sm_90a.
#pragma once
#include "cuda/cuda_context.h"
#include "cuda/gemm/product.h"
#include "ops/grouped_linear/grouped_linear.h"

namespace warploop::cuda {

/// The operands, the groups and the epilogue, without a schedule. In grouped_linear.cu.
Product product_of(const GroupedLinearParams& p, const CudaContext& context);

/// Rows x columns of a block's tile; stream: for few rows; pair: two blocks share their weights; lag2: the
/// producers wait for rows of x a stage later, to be measured against the others.
enum class GroupedHopperTile {
  stream64x128,
  t128x128,
  pair128x256,
  t128x256,
  pair128x256lag2,
  t128x256lag2,
};

/// Null, or why no tile can run this.
const char* refuse_grouped_linear_sm90(const GroupedLinearParams& p, const CudaContext& context);

/// Null, or why another tile is expected to be faster.
const char* slower_grouped_linear_sm90(GroupedHopperTile tile, const GroupedLinearParams& p,
                                       const CudaContext& context);

/// The kernel for few rows; x of `dtype`. In grouped_linear.stream.sm90.cu.
void grouped_linear_stream_sm90(const Product& p, DType dtype, const CudaContext& context);

void grouped_linear_sm90(GroupedHopperTile tile, const GroupedLinearParams& p, CudaContext& context);

}  // namespace warploop::cuda
