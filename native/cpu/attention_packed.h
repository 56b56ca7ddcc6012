// The products of attention for many rows: the tile of one KV head is packed once, then a register-blocked
// micro kernel runs over groups of rows. Packed operands are [steps][columns] of units (attention_tile.h,
// also for the numerics).
#pragma once
#include "cpu/attention_tile.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int kPackedRows = 6;  // of the micro kernel: 6 x 4 sums in 32 vector registers, 6 x 2 in 16
inline constexpr int kPackedVectors = kSumRegisters / kPackedRows;

/// packed[u][j] = unit u of keys[j] + at, 0 <= j < columns (a multiple of kLanes).
template <class Units, class T>
void pack_keys(const T* const* keys, int64_t at, int64_t width, int columns, FetchAhead<T> ahead,
               uint32_t* packed) {
  const int64_t units = width / Units::kPerUnit;
  for (int j = 0; j < columns; j += kLanes) {
    for (int64_t u = 0; u < units; u += kLanes) {
      ahead.lines(kLanes);
      vu x[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; i++) {
        x[i] = load_units<Units>(keys[j + i] + at + u * Units::kPerUnit, units - u);
      }
      transpose(x);
      const int count = static_cast<int>(std::min<int64_t>(kLanes, units - u));
      uint32_t* to = packed + u * kTileKeys + j;
      for (int i = 0; i < count; i++, to += kTileKeys) std::memcpy(to, &x[i], sizeof(vu));
    }
  }
}

/// packed[u][d] = unit u of column d of values[...] + at.
template <class Units, class T>
void pack_values(const T* const* values, int64_t at, int64_t width, int columns, FetchAhead<T> ahead,
                 uint32_t* packed) {
  for (int j = 0; j < columns; j += Units::kPerUnit, packed += width) {
    ahead.lines(width / kLanes);
    int64_t d = 0;
    for (; d + 2 * kLanes <= width; d += 2 * kLanes) {
      vu units[2];
      load_value_units<Units, 2>(values + j, at + d, units);
      std::memcpy(packed + d, units, sizeof units);
    }
    for (; d < width; d += kLanes) {
      vu units[1];
      load_value_units<Units, 1>(values + j, at + d, units);
      std::memcpy(packed + d, units, sizeof units);
    }
  }
}

/// c[r][j] = row_scale[r] * c[r][j] + sum over s of a[r][s] . b[s][j]; row_scale null: c starts at 0.
template <class Units, int kRows, int kVectors>
void multiply_block(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t steps,
                    const float* row_scale, float* c, int64_t ldc) {
  vf sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) {
      sum[r][j] = row_scale ? load(c + r * ldc + j * kLanes) * row_scale[r] : vf{};
    }
  }
  for (int64_t s = 0; s < steps; s++, b += ldb) {
    vu columns[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) columns[j] = load_as<vu>(b + j * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const vu unit = a[r * lda + s] - vu{};
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; j++) sum[r][j] = Units::multiply_add(unit, columns[j], sum[r][j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) store(c + r * ldc + j * kLanes, sum[r][j]);
  }
}

template <class Units, int kRows>
void multiply_rows(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t steps,
                   const float* row_scale, float* c, int64_t ldc, int64_t columns) {
  int64_t j = 0;
  for (; j + kPackedVectors * kLanes <= columns; j += kPackedVectors * kLanes) {
    multiply_block<Units, kRows, kPackedVectors>(a, lda, b + j, ldb, steps, row_scale, c + j, ldc);
  }
  for (; j < columns; j += kLanes)
    multiply_block<Units, kRows, 1>(a, lda, b + j, ldb, steps, row_scale, c + j, ldc);
}

/// multiply_block of up to kPackedRows rows and any number of columns (a multiple of kLanes).
template <class Units>
void multiply(int rows, const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t steps,
              const float* row_scale, float* c, int64_t ldc, int64_t columns) {
  const auto part = [&]<int kRows>(std::integral_constant<int, kRows>) {
    multiply_rows<Units, kRows>(a, lda, b, ldb, steps, row_scale, c, ldc, columns);
    a += kRows * lda;
    c += kRows * ldc;
    if (row_scale) row_scale += kRows;
    rows -= kRows;
  };
  if (rows == kPackedRows) return part(std::integral_constant<int, kPackedRows>{});
  if (rows >= 4) part(std::integral_constant<int, 4>{});
  if (rows >= 2) part(std::integral_constant<int, 2>{});
  if (rows >= 1) part(std::integral_constant<int, 1>{});
}

}  // namespace warploop::cpu::WARPLOOP_ISA
