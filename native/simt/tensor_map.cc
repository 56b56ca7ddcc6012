#include "simt/tensor_map.h"

#include <cstring>

namespace warploop::simt {
namespace {

constexpr uint64_t kTensorMapMark = 0x7e4507a9d1c35b62;

/// 0: not emulated.
uint8_t element_bytes_of(CUtensorMapDataType type) {
  switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8:
      return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16:
      return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT32:
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32:
      return 4;
    case CU_TENSOR_MAP_DATA_TYPE_UINT64:
    case CU_TENSOR_MAP_DATA_TYPE_INT64:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT64:
      return 8;
    default:
      return 0;
  }
}

/// -1: not emulated.
int swizzle_bytes_of(CUtensorMapSwizzle swizzle) {
  switch (swizzle) {
    case CU_TENSOR_MAP_SWIZZLE_NONE:
      return 0;
    case CU_TENSOR_MAP_SWIZZLE_32B:
      return 32;
    case CU_TENSOR_MAP_SWIZZLE_64B:
      return 64;
    case CU_TENSOR_MAP_SWIZZLE_128B:
      return 128;
    default:
      return -1;
  }
}

bool aligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

}  // namespace

uint32_t TensorMap::box_bytes() const {
  uint32_t bytes = element_bytes;
  for (int i = 0; i < rank; i++) bytes *= box[i];
  return bytes;
}

const TensorMap* read_tensor_map(const CUtensorMap* map) {
  const TensorMap* read = reinterpret_cast<const TensorMap*>(map);
  return map && aligned(map, alignof(TensorMap)) && read->mark == kTensorMapMark ? read : nullptr;
}

}  // namespace warploop::simt

using namespace warploop::simt;

/// With the argument checks of its documentation. CUDA_ERROR_NOT_SUPPORTED for what is legal but not
/// emulated: interleaving, element strides, NaN fill, other swizzles, packed types, boxes that do not fill a
/// row of their swizzle.
CUresult CUDAAPI cuTensorMapEncodeTiled(CUtensorMap* map, CUtensorMapDataType type, cuuint32_t rank,
                                        void* base, const cuuint64_t* sizes, const cuuint64_t* strides_bytes,
                                        const cuuint32_t* box, const cuuint32_t* element_strides,
                                        CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                        CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
  const uint8_t element_bytes = element_bytes_of(type);
  const int swizzle_bytes = swizzle_bytes_of(swizzle);
  if (element_bytes == 0 || swizzle_bytes < 0 || interleave != CU_TENSOR_MAP_INTERLEAVE_NONE ||
      fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) {
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  if (!map || !aligned(map, 64) || !base || !aligned(base, 16) || rank < 1 || rank > 5)
    return CUDA_ERROR_INVALID_VALUE;
  TensorMap m{};
  m.mark = kTensorMapMark;
  m.base = static_cast<std::byte*>(base);
  m.rank = static_cast<uint8_t>(rank);
  m.element_bytes = element_bytes;
  m.swizzle_bytes = static_cast<uint32_t>(swizzle_bytes);
  for (cuuint32_t i = 0; i < rank; i++) {
    const cuuint64_t stride = i == 0 ? element_bytes : strides_bytes[i - 1];
    if (sizes[i] == 0 || sizes[i] > uint64_t{1} << 32) return CUDA_ERROR_INVALID_VALUE;
    if (box[i] == 0 || box[i] > 256) return CUDA_ERROR_INVALID_VALUE;
    if (i > 0 && (stride % 16 != 0 || stride >= uint64_t{1} << 40)) return CUDA_ERROR_INVALID_VALUE;
    if (i > 0 && stride == 0) return CUDA_ERROR_INVALID_VALUE;  // the documentation leaves it open
    if (element_strides[i] == 0 || element_strides[i] > 8) return CUDA_ERROR_INVALID_VALUE;
    if (i > 0 && element_strides[i] != 1) return CUDA_ERROR_NOT_SUPPORTED;
    m.sizes[i] = sizes[i];
    m.strides[i] = stride;
    m.box[i] = static_cast<uint16_t>(box[i]);
  }
  const uint32_t row_bytes = box[0] * element_bytes;
  if (row_bytes % 16 != 0) return CUDA_ERROR_INVALID_VALUE;
  if (m.swizzle_bytes && row_bytes > m.swizzle_bytes) return CUDA_ERROR_INVALID_VALUE;
  if (m.swizzle_bytes && row_bytes != m.swizzle_bytes) return CUDA_ERROR_NOT_SUPPORTED;
  std::memset(map, 0, sizeof *map);
  std::memcpy(map, &m, sizeof m);
  return CUDA_SUCCESS;
}
