// The register tile of products of bytes: rows of x times panels that have been unpacked into L1.
#pragma once
#include "cpu/byte_weights.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int64_t kByteChunk = 512;  // inputs: two panels of them are 16 KiB

/// Rows of a register tile: where integer sums are short, float sums have registers, too.
template <int64_t kDot>
inline constexpr int kByteTileRows = kLanes != 16         ? 2
                                     : kDot == kWideBlock ? 12
                                                          : 6;

/// Two panels of a chunk, unpacked.
struct ByteStrip {
  alignas(64) int8_t bytes[kByteChunk * 2 * kPanel];  // [k / 4][panel][16][4], with kByteBias
  alignas(64) float scales[kByteChunk / 16][2 * kPanel];
  alignas(64) float minima[kByteChunk / 16][2 * kPanel];
  alignas(64) int32_t zeros[kByteChunk / 16][2 * kPanel];  // where zero points are not in the bytes
};

/// What a tile reads beside the rows.
struct ByteTile {
  const ByteStrip* strip;
  int64_t first_dot, dots;  // integer sums of the chunk
  int64_t last_steps;       // of four inputs in the last of them
  bool has_minima, has_zeros;
  int32_t offset;  // raw_offset
};

/// Integer sums of one dot begin.
template <int MR, int V>
WARPLOOP_INLINE void begin_sums(const Int8Row* const* rows, int64_t dot, int32_t offset, vi (&acc)[MR][V]) {
#pragma GCC unroll 12
  for (int m = 0; m < MR; m++) {
    const DotNumbers& numbers = rows[m]->numbers[dot];
    const vi start = splat(numbers.start - offset * numbers.sum);
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) acc[m][v] = start;
  }
}

/// Four inputs of V vectors of weights times MR rows, added to integer sums, or to pairs of them.
template <bool kPairs, int MR, int V>
WARPLOOP_INLINE void add_four(const vi (&weights)[V], const int8_t* const (&x)[MR], int64_t at,
                              vi (&acc)[MR][V]) {
#pragma GCC unroll 12
  for (int m = 0; m < MR; m++) {
    const vi four = splat_four(x[m] + at);
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) {
      if constexpr (kPairs) {
        acc[m][v] = add_pairs(acc[m][v], weights[v], four);
      } else {
        acc[m][v] = add_dot(acc[m][v], weights[v], four);
      }
    }
  }
}

/// The pairs go into integer sums, and begin anew.
template <int MR, int V>
WARPLOOP_INLINE void widen(vi (&pairs)[MR][V], vi (&acc)[MR][V]) {
#pragma GCC unroll 12
  for (int m = 0; m < MR; m++) {
#pragma GCC unroll 8
    for (int v = 0; v < V; v++) {
      acc[m][v] = add_widened(acc[m][v], pairs[m][v]);
      pairs[m][v] = vi{};
    }
  }
}

/// Behind the integer sums of a dot: added to the float sums of one row, which are V vectors wide.
template <int V>
WARPLOOP_INLINE void add_dots(const ByteTile& t, const Int8Row& row, int64_t dot, vi (&acc)[V],
                              vf (&total)[V]) {
  const DotNumbers& numbers = row.numbers[t.first_dot + dot];
#pragma GCC unroll 8
  for (int v = 0; v < V; v++) {
    if (t.has_zeros) acc[v] -= load_as<vi>(t.strip->zeros[dot] + v * kLanes) * numbers.sum;
    total[v] = add_part(total[v], acc[v], numbers, load(t.strip->scales[dot] + v * kLanes));
    if (t.has_minima) total[v] = subtract_minimum(total[v], numbers, load(t.strip->minima[dot] + v * kLanes));
  }
}

template <int V>
WARPLOOP_INLINE void load_sums(const float* sums, vf (&total)[V]) {
#pragma GCC unroll 8
  for (int v = 0; v < V; v++) total[v] = load(sums + v * kLanes);
}
template <int V>
WARPLOOP_INLINE void store_sums(float* sums, const vf (&total)[V]) {
#pragma GCC unroll 8
  for (int v = 0; v < V; v++) store(sums + v * kLanes, total[v]);
}

/// sums[MR][NT * 16], rows `stride` apart, += MR rows times NT panels of a chunk. kDot: inputs of an integer
/// sum; kPairs: kPairSteps of the codes.
template <int MR, int NT, int kDot, int kPairs>
void multiply_bytes(const ByteTile& t, const Int8Row* const* rows, int64_t first_input, float* sums,
                    int64_t stride) {
  constexpr int kVectors = NT * kPanelVectors;
  constexpr bool kKeep = kLanes == 16 && MR * kVectors <= 12;  // float sums stay in registers
  const int8_t *weights = t.strip->bytes, *x[MR];
  for (int m = 0; m < MR; m++) x[m] = rows[m]->codes + first_input;
  vf total[MR][kVectors];
#pragma GCC unroll 12
  for (int m = 0; kKeep && m < MR; m++) load_sums(sums + m * stride, total[m]);
  for (int64_t dot = 0; dot < t.dots; dot++, weights += kDot * NT * kPanel) {
    vi acc[MR][kVectors];
    begin_sums(rows, t.first_dot + dot, t.offset, acc);
    const auto step = [&](int64_t i, vi(&to)[MR][kVectors]) __attribute__((always_inline)) {
      vi w[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) w[v] = load_as<vi>(weights + i * 4 * NT * kPanel + v * 4 * kLanes);
      add_four<kPairs != 0>(w, x, 4 * i, to);
    };
    const int64_t steps = kDot == kWideBlock && dot + 1 == t.dots ? t.last_steps : kDot / 4;
    if constexpr (kPairs != 0) {
      constexpr int kTogether = std::min(kPairs, kDot / 4);  // inputs of nibbles are multiples of 32
      for (int64_t i = 0; i < steps; i += kTogether) {
        vi pairs[MR][kVectors]{};
#pragma GCC unroll 8
        for (int j = 0; j < kTogether; j++) step(i + j, pairs);
        widen(pairs, acc);
      }
    } else if constexpr (kDot == kWideBlock) {
      for (int64_t i = 0; i < steps; i++) step(i, acc);
    } else {
#pragma GCC unroll 8
      for (int64_t i = 0; i < kDot / 4; i++) step(i, acc);
    }
#pragma GCC unroll 12
    for (int m = 0; m < MR; m++) {
      x[m] += kDot;
      if constexpr (!kKeep) load_sums(sums + m * stride, total[m]);
      add_dots(t, *rows[m], dot, acc[m], total[m]);
      if constexpr (!kKeep) store_sums(sums + m * stride, total[m]);
    }
  }
#pragma GCC unroll 12
  for (int m = 0; kKeep && m < MR; m++) store_sums(sums + m * stride, total[m]);
}

template <int NT, int kDot, int kPairs>
void multiply_byte_rows(int count, const ByteTile& t, const Int8Row* const* rows, int64_t first_input,
                        float* sums, int64_t stride) {
  if (count == 1) return multiply_bytes<1, NT, kDot, kPairs>(t, rows, first_input, sums, stride);
  if constexpr (kByteTileRows<kDot> == 2) {
    multiply_bytes<2, NT, kDot, kPairs>(t, rows, first_input, sums, stride);
  } else {
    if (count == 2) return multiply_bytes<2, NT, kDot, kPairs>(t, rows, first_input, sums, stride);
    if (count <= 4) return multiply_bytes<4, NT, kDot, kPairs>(t, rows, first_input, sums, stride);
    if (count <= 6 || kByteTileRows<kDot> == 6)
      return multiply_bytes<6, NT, kDot, kPairs>(t, rows, first_input, sums, stride);
    if constexpr (kByteTileRows<kDot> == 12)
      multiply_bytes<12, NT, kDot, kPairs>(t, rows, first_input, sums, stride);
  }
}

/// One chunk of `num` panels times all rows of a piece.
template <int kDot, int kPairs>
void multiply_strip(const ByteTile& tile, int num, const Int8Row* rows, int64_t count, int64_t first_input,
                    float* sums, int64_t stride) {
  constexpr int kRows = kByteTileRows<kDot>;
  for (int64_t row = 0; row < count; row += kRows) {
    const int some = static_cast<int>(std::min<int64_t>(kRows, count - row));
    const Int8Row* at[kRows];  // those that only fill the tile add to sums of rows that are not there
    for (int i = 0; i < kRows; i++) at[i] = rows + row + std::min(i, some - 1);
    float* to = sums + row * stride;
    num == 1 ? multiply_byte_rows<1, kDot, kPairs>(some, tile, at, first_input, to, stride)
             : multiply_byte_rows<2, kDot, kPairs>(some, tile, at, first_input, to, stride);
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
