// The products of attention for few rows (decoding): keys and values go from memory through registers into
// the sums and are packed nowhere, because each is used by a handful of rows only. Same sums in the same
// order as attention_packed.h.
#pragma once
#include "cpu/attention_tile.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int kDirectRows = 8;  // most rows of a KV head

/// scores[r][i] = q[r] . (keys[i] + at) for kLanes keys; q is [kRows][units].
template <class Units, int kRows, class T>
void score_block(const T* const* keys, int64_t at, int64_t units, const uint32_t* q, FetchAhead<T>& ahead,
                 float* scores) {
  vf sum[kRows] = {};
  for (int64_t u = 0; u < units; u += kLanes) {
    ahead.lines(kLanes);
    vu x[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; i++) x[i] = load_units<Units>(keys[i] + at + u * Units::kPerUnit, units - u);
    transpose(x);
    const auto add = [&](vu column, const uint32_t* unit) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) sum[r] = Units::multiply_add(unit[r * units] - vu{}, column, sum[r]);
    };
    if (units - u >= kLanes) {
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; i++) add(x[i], q + u + i);
    } else {
      uint32_t tail[kLanes * kLanes];
      std::memcpy(tail, x, sizeof tail);
      for (int64_t i = 0; i < units - u; i++) add(load_as<vu>(tail + i * kLanes), q + u + i);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) store(scores + r * kTileKeys, sum[r]);
}

/// out[r][d] = row_scale[r] * out[r][d] + sum over the tokens of weight * value, kVectors * kLanes columns
/// from d = 0.
template <class Units, int kRows, int kVectors, class T>
void add_value_columns(const T* const* values, int64_t at, int tokens, const uint32_t* weights,
                       const float* row_scale, FetchAhead<T>& ahead, float* out, int64_t width) {
  vf sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) {
      const vf before = load(out + r * width + j * kLanes);
      sum[r][j] = row_scale ? before * row_scale[r] : before;
    }
  }
  for (int t = 0; t < tokens; t += Units::kPerUnit) {
    ahead.lines(Units::kPerUnit * kVectors * kLanes * static_cast<int64_t>(sizeof(T)) / 64);
    vu columns[kVectors];
    load_value_units<Units, kVectors>(values + t, at, columns);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const vu weight = weights[(r * kTileKeys + t) / Units::kPerUnit] - vu{};
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; j++) sum[r][j] = Units::multiply_add(weight, columns[j], sum[r][j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) store(out + r * width + j * kLanes, sum[r][j]);
  }
}

/// add_value_columns of all columns.
template <class Units, int kRows, class T>
void add_value_block(const T* const* values, int64_t at, int tokens, const uint32_t* weights,
                     const float* row_scale, FetchAhead<T>& ahead, float* out, int64_t width) {
  constexpr int kVectors = kRows <= kSumRegisters / 8 ? 8 : kRows <= kSumRegisters / 4 ? 4 : 2;
  int64_t d = 0;
  for (; d + kVectors * kLanes <= width; d += kVectors * kLanes) {
    add_value_columns<Units, kRows, kVectors>(values, at + d, tokens, weights, row_scale, ahead, out + d,
                                              width);
  }
  for (; d < width; d += kLanes) {
    add_value_columns<Units, kRows, 1>(values, at + d, tokens, weights, row_scale, ahead, out + d, width);
  }
}

/// body(std::integral_constant<int, n>, first) for parts of n = 4, 2 or 1 rows.
template <class Body>
WARPLOOP_INLINE void for_row_parts(int rows, const Body& body) {
  int r = 0;
  for (; r + 4 <= rows; r += 4) body(std::integral_constant<int, 4>{}, r);
  if (r + 2 <= rows) body(std::integral_constant<int, 2>{}, r), r += 2;
  if (r < rows) body(std::integral_constant<int, 1>{}, r);
}

/// score_block of any number of rows; q is [rows][units], scores [rows][kTileKeys].
template <class Units, class T>
void score_keys(int rows, const T* const* keys, int64_t at, int64_t units, const uint32_t* q,
                FetchAhead<T>& ahead, float* scores) {
  for_row_parts(rows, [&]<int kRows>(std::integral_constant<int, kRows>, int r) {
    score_block<Units, kRows>(keys, at, units, q + r * units, ahead, scores + r * kTileKeys);
  });
}

/// add_value_block of any number of rows; weights is [rows][kTileKeys / kPerUnit], out [rows][width].
template <class Units, class T>
void add_values(int rows, const T* const* values, int64_t at, int tokens, const uint32_t* weights,
                const float* row_scale, FetchAhead<T>& ahead, float* out, int64_t width) {
  for_row_parts(rows, [&]<int kRows>(std::integral_constant<int, kRows>, int r) {
    add_value_block<Units, kRows>(values, at, tokens, weights + r * (kTileKeys / Units::kPerUnit),
                                  row_scale ? row_scale + r : nullptr, ahead, out + r * width, width);
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
