// Matrices that wgmma takes from shared memory: its descriptors, decoded bit for bit. PTX ISA, "Matrix
// Descriptor Format" and "Strides" of wgmma; CUTLASS include/cute/arch/mma_sm90_desc.hpp and
// cute/atom/mma_traits_sm90_gmma.hpp (canonical layouts).
#pragma once
#include <cstdint>

namespace warploop::simt {

struct MatrixDescriptor {
  uint32_t start;  // address
  uint32_t lbo;    // leading dimension byte offset
  uint32_t sbo;    // stride dimension byte offset
  uint32_t base_offset;
  uint32_t swizzle_bytes;  // 0, 128, 64, 32
  bool reserved_bits;      // some are set

  static constexpr MatrixDescriptor decode(uint64_t bits) {
    constexpr uint32_t kSwizzleBytes[4] = {0, 128, 64, 32};
    constexpr uint64_t kFields =
        0x3fffu | uint64_t{0x3fff} << 16 | uint64_t{0x3fff} << 32 | uint64_t{7} << 49 | uint64_t{3} << 62;
    const auto field = [&](int at) { return static_cast<uint32_t>(bits >> at & 0x3fff) << 4; };
    return {field(0),
            field(16),
            field(32),
            static_cast<uint32_t>(bits >> 49 & 7),
            kSwizzleBytes[bits >> 62],
            (bits & ~kFields) != 0};
  }

  /// True where the start lies in the first row of a pattern, which base_offset = 0 says.
  constexpr bool starts_pattern() const {
    return swizzle_bytes == 0 || (start >> 7) % (swizzle_bytes / 16) == 0;
  }
};

/// Address of a piece: 8 values of 16 bits in a row along k (K-major; `row` = m or n, `k` a multiple of 8) or
/// along m or n (MN-major; `row` a multiple of 8).
constexpr uint32_t piece_address(const MatrixDescriptor& d, bool mn_major, uint32_t row, uint32_t k) {
  const uint32_t along = mn_major ? row : k;   // the dimension that is contiguous
  const uint32_t across = mn_major ? k : row;  // the other one
  uint32_t offset;
  if (d.swizzle_bytes == 0) {
    // Cores of 8 rows of 16 bytes, 128 bytes in a run. K-major: lbo along k, sbo along rows; MN-major: the
    // same dimensions, lbo along k, sbo along rows.
    offset = across % 8 * 16 + row / 8 * d.sbo + k / 8 * d.lbo;
  } else {
    // Rows of swizzle_bytes, 8 of them to the next by sbo. Along a row K-major has nothing further (16 k
    // fit), MN-major goes on after swizzle_bytes by lbo.
    const uint32_t row_values = d.swizzle_bytes / 2;
    offset = across % 8 * d.swizzle_bytes + across / 8 * d.sbo + along % row_values * 2 +
             along / row_values * d.lbo;
  }
  const uint32_t address = d.start + offset;
  if (d.swizzle_bytes == 0) return address;
  return address ^ ((address >> 7) % (d.swizzle_bytes / 16) * 16);
}

}  // namespace warploop::simt
