// Tensor maps: how the copy engine of sm_90 (device/tma.cuh) finds a tensor. Host code, also under simt.
#pragma once
#include <cuda.h>

#include <cstdint>

#include "core/dtype.h"
#include "cuda/swizzle.h"

namespace warploop::cuda {

/// A kernel argument for tma_load and tma_store. All arrays begin with the innermost dimension, which is
/// dense. `rank`: 2 to 5. `base`: device memory aligned to 16. `sizes` [rank]: elements, 1 to 2^32.
/// `strides_bytes` [rank - 1], of the dimensions after the innermost: multiples of 16 below 2^40. `box`
/// [rank]: elements, 1 to 256; box[0] fills exactly one row of the swizzle, without swizzle any multiple of
/// 16 bytes. Throws Error(execution) with what is wrong. Costs about a microsecond.
CUtensorMap encode_tensor_map(DType dtype, int rank, const void* base, const uint64_t* sizes,
                              const uint64_t* strides_bytes, const uint32_t* box, Swizzle swizzle);
/// The same, or false where the driver does not make this map: it may not like all strides (0: rows that
/// share memory), so that an op takes another way and does not fail.
bool try_encode_tensor_map(CUtensorMap& map, DType dtype, int rank, const void* base, const uint64_t* sizes,
                           const uint64_t* strides_bytes, const uint32_t* box, Swizzle swizzle);
/// Whether the driver makes this map. For the choice of a kernel.
bool can_encode_tensor_map(DType dtype, int rank, const void* base, const uint64_t* sizes,
                           const uint64_t* strides_bytes, const uint32_t* box, Swizzle swizzle);

}  // namespace warploop::cuda
