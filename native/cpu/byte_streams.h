// Products of bytes for few rows of x, which stream weights: codes go from memory through registers into dot
// products.
#pragma once
#include "cpu/byte_tile.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Codes of `NT` panels, where each stands.
template <Codes codes, int NT>
struct PanelStreams {
  static constexpr int kVectors = NT * kPanelVectors;
  static constexpr bool kIsNibble = Quantised<codes>::kIsNibble;

  PanelStreams(const CodeWeight& weight, int64_t first) : w(weight), panel(first) {
    for (int n = 0; n < NT; n++) from[n] = w.panel(panel + n) + w.at.codes;
  }

  /// Adds inputs [k, k + 16), of nibbles [k, k + 32), and goes on.
  template <int MR>
  WARPLOOP_INLINE void add(const int8_t* const (&x)[MR], int64_t k, const vu (&zeros)[kVectors],
                           vi (&acc)[MR][kVectors]) {
    constexpr int kPairs = kPairSteps<codes>;
    vi pairs[MR][kVectors]{};
    vi(&to)[MR][kVectors] = kPairs ? pairs : acc;
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      vi low[kVectors], high[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) {
        const uint8_t* at = from[v / kPanelVectors] + j * 4 * kPanel + v % kPanelVectors * 4 * kLanes;
        if (v % kPanelVectors == 0) __builtin_prefetch(at + kFetchAhead, 0, 2);
        const vu word = load_as<vu>(at);
        low[v] = reinterpret_cast<vi>(signed_bytes<codes>(kIsNibble ? word & 0x0f0f0f0fu : word, zeros[v]));
        if (kIsNibble) high[v] = reinterpret_cast<vi>(signed_bytes<codes>(word >> 4 & 0x0f0f0f0fu, zeros[v]));
      }
      add_four<kPairs != 0>(low, x, k + 4 * j, to);
      if constexpr (kIsNibble) add_four<kPairs != 0>(high, x, k + 16 + 4 * j, to);
      if constexpr (kPairs != 0) {
        if ((2 * j + 2) % kPairs == 0) widen(pairs, acc);
      }
    }
    for (int n = 0; n < NT; n++) from[n] += 16 * kPanel;
  }

  /// What signed_bytes takes off in the group of input k.
  WARPLOOP_INLINE void zeros_of(int64_t k, vu (&zeros)[kVectors]) const {
    if constexpr (codes == Codes::int4 && !kIsRaw<codes>) {
      for (int n = 0; n < NT; n++) byte_zeros<codes>(w, w.panel(panel + n), k, zeros + n * kPanelVectors);
    }
  }

  /// The float steps behind the integer sums of a dot of group g.
  template <int MR>
  WARPLOOP_INLINE void finish(const Int8Row* const* rows, int64_t dot, int64_t g, vi (&acc)[MR][kVectors],
                              vf (&total)[MR][kVectors]) const {
    const bool has_zeros = has_sum_zeros<codes>(w);
    for (int n = 0; n < NT; n++) {
      alignas(64) float scales[kPanel], minima[kPanel];
      const uint8_t* at = w.panel(panel + n);
      panel_scales(w, at, g, scales);
      if (w.has_minima()) panel_minima(w, at, g, minima);
      const PanelInts zeros = panel_zeros<codes>(w, at, g);
      for (int i = 0; i < kPanelVectors; i++) {
        const int v = n * kPanelVectors + i;
        const vf scale = load(scales + i * kLanes) * (codes == Codes::fp4 ? 0.5f : 1.0f);
#pragma GCC unroll 4
        for (int m = 0; m < MR; m++) {
          const DotNumbers& numbers = rows[m]->numbers[dot];
          if (has_zeros) acc[m][v] -= zeros.v[i] * numbers.sum;
          total[m][v] = add_part(total[m][v], acc[m][v], numbers, scale);
          if (w.has_minima()) total[m][v] = subtract_minimum(total[m][v], numbers, load(minima + i * kLanes));
        }
      }
    }
  }

  const CodeWeight& w;
  int64_t panel;
  const uint8_t* from[NT];
};

/// All inputs of NT panels times MR rows. sums [MR][NT * 16], rows `stride` apart. Not of nibbles with
/// integer sums of 16.
template <Codes codes, int MR, int NT>
void multiply_streamed(const CodeWeight& w, const Int8Shape& shape, const Int8Row* const* rows, int64_t panel,
                       float* sums, int64_t stride) {
  using Streams = PanelStreams<codes, NT>;
  Streams streams(w, panel);
  const int8_t* x[MR];
  for (int m = 0; m < MR; m++) x[m] = rows[m]->codes;
  vf total[MR][Streams::kVectors]{};
  const int64_t end = Quantised<codes>::padded_inputs(w.inputs);
  for (int64_t k = 0, dot = 0; k < end; dot++) {
    const int64_t g = std::min(k / w.group(), w.at.groups - 1);
    vu zeros[Streams::kVectors]{};
    streams.zeros_of(k, zeros);
    vi acc[MR][Streams::kVectors];
    begin_sums(rows, dot, raw_offset<codes>(w), acc);
    for (const int64_t last = std::min(k + shape.dot, end); k < last; k += Streams::kIsNibble ? 32 : 16)
      streams.add(x, k, zeros, acc);
    streams.finish(rows, dot, g, acc, total);
  }
  for (int m = 0; m < MR; m++) store_sums(sums + m * stride, total[m]);
}

/// At most so many rows stream weights.
inline constexpr int64_t kStreamedRows = kLanes == 16 ? 4 : 1;

template <Codes codes, int MR>
void multiply_streams(const CodeWeight& w, const Int8Shape& shape, const Int8Row* rows, int64_t count,
                      int64_t first, int64_t panels, float* sums) {
  const Int8Row* at[MR];
  for (int i = 0; i < MR; i++) at[i] = rows + std::min<int64_t>(i, count - 1);
  const int64_t stride = panels * kPanel;
  int64_t panel = 0;
  for (; panel + 2 <= panels; panel += 2)
    multiply_streamed<codes, MR, 2>(w, shape, at, first + panel, sums + panel * kPanel, stride);
  if (panel < panels)
    multiply_streamed<codes, MR, 1>(w, shape, at, first + panel, sums + panel * kPanel, stride);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
