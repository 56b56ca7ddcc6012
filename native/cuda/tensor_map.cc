#include "cuda/tensor_map.h"

#include <cuda_runtime_api.h>

#include "core/error.h"
#include "cuda/cuda_check.h"

namespace warploop::cuda {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

/// From the driver that is loaded anyway, so that nothing links with libcuda.
Encode find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  require(
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
      "cudaGetDriverEntryPointByVersion");
  if (found != cudaDriverEntryPointSuccess) {
    fail_execution("the CUDA driver has no cuTensorMapEncodeTiled; a driver for CUDA 12.0 or later has");
  }
  return reinterpret_cast<Encode>(function);
}

CUtensorMapDataType data_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    case DType::f16:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case DType::bf16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case DType::i32:
      return CU_TENSOR_MAP_DATA_TYPE_INT32;
    case DType::fp8e4m3:
    case DType::i8:
    case DType::u8:
      return CU_TENSOR_MAP_DATA_TYPE_UINT8;
    case DType::i4:
      break;
  }
  fail_execution("tensor map: no map for ", name_of(dtype));
}

CUtensorMapSwizzle swizzle_mode(Swizzle swizzle) {
  switch (swizzle) {
    case Swizzle::b128:
      return CU_TENSOR_MAP_SWIZZLE_128B;
    case Swizzle::b64:
      return CU_TENSOR_MAP_SWIZZLE_64B;
    case Swizzle::b32:
      return CU_TENSOR_MAP_SWIZZLE_32B;
    case Swizzle::none:
      break;
  }
  return CU_TENSOR_MAP_SWIZZLE_NONE;
}

CUresult encode(CUtensorMap& map, DType dtype, int rank, const void* base, const uint64_t* sizes,
                const uint64_t* strides_bytes, const uint32_t* box, Swizzle swizzle) {
  static const Encode encode_tiled = find_encode();
  if (rank < 2 || rank > 5) fail_execution("tensor map: rank: expected 2 to 5, got ", rank);
  const size_t row_bytes = bytes_of(dtype, box[0]);
  if (swizzle != Swizzle::none && row_bytes != swizzle_row_bytes(swizzle)) {
    fail_execution("tensor map: box: expected rows of ", swizzle_row_bytes(swizzle), " bytes, got ",
                   row_bytes);
  }
  constexpr cuuint32_t kEveryElement[5] = {1, 1, 1, 1, 1};
  cuuint64_t size[5], stride[4];
  for (int i = 0; i < rank; i++) size[i] = sizes[i];
  for (int i = 0; i + 1 < rank; i++) stride[i] = strides_bytes[i];
  return encode_tiled(&map, data_type(dtype), static_cast<cuuint32_t>(rank), const_cast<void*>(base), size,
                      stride, box, kEveryElement, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_mode(swizzle),
                      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

}  // namespace

bool try_encode_tensor_map(CUtensorMap& map, DType dtype, int rank, const void* base, const uint64_t* sizes,
                           const uint64_t* strides_bytes, const uint32_t* box, Swizzle swizzle) {
  return encode(map, dtype, rank, base, sizes, strides_bytes, box, swizzle) == CUDA_SUCCESS;
}

bool can_encode_tensor_map(DType dtype, int rank, const void* base, const uint64_t* sizes,
                           const uint64_t* strides_bytes, const uint32_t* box, Swizzle swizzle) {
  CUtensorMap map;
  return try_encode_tensor_map(map, dtype, rank, base, sizes, strides_bytes, box, swizzle);
}

CUtensorMap encode_tensor_map(DType dtype, int rank, const void* base, const uint64_t* sizes,
                              const uint64_t* strides_bytes, const uint32_t* box, Swizzle swizzle) {
  CUtensorMap map;
  const CUresult status = encode(map, dtype, rank, base, sizes, strides_bytes, box, swizzle);
  if (status == CUDA_SUCCESS) return map;
  std::ostringstream text;
  text << "tensor map refused by the driver (" << static_cast<int>(status) << "): " << name_of(dtype)
       << " at " << base << ", innermost first: sizes";
  for (int i = 0; i < rank; i++) text << ' ' << sizes[i];
  text << ", strides in bytes";
  for (int i = 0; i + 1 < rank; i++) text << ' ' << strides_bytes[i];
  text << ", box";
  for (int i = 0; i < rank; i++) text << ' ' << box[i];
  fail_execution(text.str());
}

}  // namespace warploop::cuda
