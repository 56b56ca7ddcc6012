// Tensor maps of the emulation: what its cuTensorMapEncodeTiled (declared in cuda.h, handed out by the
// runtime) writes and the copy engine (bulk_copy.cc) reads back. Only what can be carried out can be encoded.
#pragma once
#include <cuda.h>

#include <cstddef>
#include <cstdint>

namespace warploop::simt {

/// How the emulation uses the 128 opaque bytes. Innermost dimension first.
struct TensorMap {
  uint64_t mark;        // kTensorMapMark
  std::byte* base;      // global memory
  uint64_t sizes[5];    // elements
  uint64_t strides[5];  // bytes; strides[0] = element_bytes
  uint16_t box[5];      // elements
  uint8_t rank;
  uint8_t element_bytes;
  uint32_t swizzle_bytes;  // 0, 32, 64, 128

  uint32_t box_bytes() const;
};
static_assert(sizeof(TensorMap) <= sizeof(CUtensorMap));

/// Null: these bytes are no tensor map.
const TensorMap* read_tensor_map(const CUtensorMap* map);

}  // namespace warploop::simt
