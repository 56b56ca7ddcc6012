// The linear layer on sm_90a.
#pragma once
#include "cuda/cuda_context.h"
#include "cuda/gemm/product.h"
#include "ops/linear/linear.h"

namespace warploop::cuda {

/// The operands and the epilogue, without a schedule. In linear.cu.
Product product_of(const LinearParams& p, const CudaContext& context);

/// Rows x columns of a block's tile; k: so many blocks of a cluster share the K of a tile.
enum class HopperTile {
  t128x256,
  t128x128,
  t64x128,
  t128x128k2,
  t128x128k4,
  t128x128k8,
  t64x128k2,
  t64x128k4,
  t64x128k8,
};

/// Null, or why no tile can run this.
const char* refuse_linear_sm90(const LinearParams& p, const CudaContext& context);

/// Null, or why another kernel is expected to be faster: few rows stream weights, as the portable one does.
const char* slower_linear_sm90(HopperTile tile, const LinearParams& p, const CudaContext& context);

/// The tiles whose K is shared; x of `dtype`. In linear.split.sm90.cu.
void linear_split_sm90(HopperTile tile, const Product& p, DType dtype, const CudaContext& context);

void linear_sm90(HopperTile tile, const LinearParams& p, CudaContext& context);

/// The best of the tiles whose K is not shared.
HopperTile whole_tile_sm90(const LinearParams& p, const CudaContext& context);

/// With such a tile, without bias and residual, into columns that lie apart in out: `together` of them, a
/// multiple of 64, from every multiple of `stride` elements on, which is one of 8.
void linear_apart_sm90(const LinearParams& p, int together, int64_t stride, CudaContext& context);

}  // namespace warploop::cuda
