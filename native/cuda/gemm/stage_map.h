// Tensor maps of the operands of the sm_90 matrix products (hopper_pipeline.cuh). Host code.
#pragma once
#include "core/dtype.h"
#include "cuda/tensor_map.h"

namespace warploop::cuda {

/// Boxes of `box_rows` rows of 64 values of k, in the swizzle of a stage, from a matrix [rows, K] of 16-bit
/// values whose rows lie `stride` values apart. K and, with more than one row, stride: multiples of 8; `data`
/// aligned to 16 bytes.
inline CUtensorMap stage_map(DType dtype, const void* data, int64_t rows, int64_t K, int64_t stride,
                             int box_rows) {
  const uint64_t sizes[2] = {static_cast<uint64_t>(K), static_cast<uint64_t>(rows)};
  const uint64_t strides[1] = {static_cast<uint64_t>(rows > 1 ? stride : K) *
                               2};  // of one row it means nothing
  const uint32_t box[2] = {64, static_cast<uint32_t>(box_rows)};
  return encode_tensor_map(dtype, 2, data, sizes, strides, box, Swizzle::b128);
}

}  // namespace warploop::cuda
