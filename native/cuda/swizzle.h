// How tiles of 16-bit rows lie in shared memory for the copy engine (TMA) and for the tensor cores of sm_90.
// Host and device code.
#pragma once
#include <cstdint>

namespace warploop::cuda {

/// Which 16-byte pieces of a row of 128, 64 or 32 bytes are exchanged so that a column of them meets all
/// banks. The numbers are those of the matrix descriptor.
enum class Swizzle : uint32_t { none = 0, b128 = 1, b64 = 2, b32 = 3 };

/// Bytes of a row of the pattern; `none` has no limit.
constexpr uint32_t swizzle_row_bytes(Swizzle swizzle) {
  constexpr uint32_t kRowBytes[4] = {0, 128, 64, 32};
  return kRowBytes[static_cast<uint32_t>(swizzle)];
}

/// Where byte `offset` of a tile of such rows, one after another, lies in a tile that is aligned to 8 rows:
/// address bits 4 to 6 (to 5, to 4) are xored with bits 7 to 9 (to 8, to 7).
constexpr uint32_t swizzled(Swizzle swizzle, uint32_t offset) {
  constexpr uint32_t kPieces[4] = {0x00, 0x70, 0x30, 0x10};
  return offset ^ ((offset >> 3) & kPieces[static_cast<uint32_t>(swizzle)]);
}

}  // namespace warploop::cuda
