// The matrix-product tile behind linear and groupedLinear: a few rows of x times a few panels of packed
// weights.
//
// Packed weights are panels of formats/dense.h: 16 output columns, k running inside a panel, so that a tile
// streams memory front to back.
//     bf16        [N/16, K/2, 16, 2]   pairs of k side by side
//     f32, f16    [N/16, K, 16, 1]
//
// Every output element is one accumulator that runs through k in order, whatever the tile shape: a row's
// result is bit by bit the same alone, in a batch, in a prompt. That is why there is no split over k.
#pragma once
#include <algorithm>
#include <type_traits>

#include "core/error.h"
#include "core/tensor_view.h"
#include "cpu/cpu_context.h"
#include "cpu/simd.h"
#include "formats/dense.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int kPanel = Dense::kPanelRows;  // output columns of one panel
inline constexpr int kPanelVectors = kPanel / kLanes;

// Register tiles. A prompt fills the register file with accumulators: kTileRows x 2 panels. Decode streams
// weights: up to kStreamRows rows, and kStreamPanels panels at a time to keep more loads in flight.
inline constexpr int kTileRows = kLanes == 16 ? 12 : 3;
inline constexpr int kTilePanels = 2;
inline constexpr int kStreamRows = kLanes == 16 ? 6 : 3;
inline constexpr int kStreamPanels = kLanes == 16 ? 4 : 2;

template <class W>
inline constexpr int kPairs = Dense::k_together(DTypeOf<W>::value);  // k values side by side in a panel

/// Elements of one panel of a weight with K inputs.
template <class W>
constexpr int64_t panel_elements(int64_t K) {
  return Dense::row_pitch(DTypeOf<W>::value, K) * kPanel;
}

template <class T>
WARPLOOP_INLINE vf low_of_pair(const T* p) {  // lane i: element 2i
  const vu wide = load_as<vu>(p) << 16;
  return load_as<vf>(&wide);
}
template <class T>
WARPLOOP_INLINE vf high_of_pair(const T* p) {  // lane i: element 2i + 1
  const vu wide = load_as<vu>(p) & 0xffff0000u;
  return load_as<vf>(&wide);
}

/// out[MR][NT * 16] = rows x panels, f32 fused multiply-add.
template <class X, class W, int MR, int NT>
void multiply_tile(const X* const* rows, const W* panels, int64_t stride, int64_t K, float* out) {
  constexpr int kVectors = NT * kPanelVectors;
  vf acc[MR][kVectors] = {};
  const auto step = [&](int64_t k, const auto& weights) {
#pragma GCC unroll 12
    for (int m = 0; m < MR; m++) {
      const vf a = splat(to_float(rows[m][k]));
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) acc[m][v] += a * weights[v];
    }
  };
  const auto panel_vector = [&](int v, int64_t k) {
    return panels + v / kPanelVectors * stride + k * kPanel + v % kPanelVectors * kLanes * kPairs<W>;
  };
  if constexpr (kPairs<W> == 2) {
    for (int64_t k = 0; k < K; k += 2) {
      vf low[kVectors], high[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) {
        low[v] = low_of_pair(panel_vector(v, k));
        high[v] = high_of_pair(panel_vector(v, k));
      }
      step(k, low);
      if (k + 1 < K) step(k + 1, high);
    }
  } else {
    for (int64_t k = 0; k < K; k++) {
      vf weights[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) weights[v] = load(panel_vector(v, k));
      step(k, weights);
    }
  }
  for (int m = 0; m < MR; m++) {
    for (int v = 0; v < kVectors; v++) store(out + (m * kVectors + v) * kLanes, acc[m][v]);
  }
}

#if defined(__AVX512BF16__)
/// The same on the bf16 dot-product unit: two k at a time, products and sums in f32.
template <int MR, int NT>
void multiply_tile_dot(const bf16_t* const* rows, const bf16_t* panels, int64_t stride, int64_t K,
                       float* out) {
  __m512 acc[MR][NT];
  for (int m = 0; m < MR; m++) {
    for (int n = 0; n < NT; n++) acc[m][n] = _mm512_setzero_ps();
  }
  const auto step = [&](int64_t k, const auto& pair_of) {
    __m512bh weights[NT];
#pragma GCC unroll 4
    for (int n = 0; n < NT; n++) weights[n] = load_as<__m512bh>(panels + n * stride + k * kPanel);
#pragma GCC unroll 12
    for (int m = 0; m < MR; m++) {
      const auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair_of(rows[m] + k)));
#pragma GCC unroll 4
      for (int n = 0; n < NT; n++) acc[m][n] = _mm512_dpbf16_ps(acc[m][n], a, weights[n]);
    }
  };
  int64_t k = 0;
  for (; k + 2 <= K; k += 2) step(k, [](const bf16_t* x) { return load_as<int32_t>(x); });
  if (k < K) step(k, [](const bf16_t* x) { return static_cast<int32_t>(x->bits); });
  for (int m = 0; m < MR; m++) {
    for (int n = 0; n < NT; n++) _mm512_storeu_ps(out + (m * NT + n) * kPanel, acc[m][n]);
  }
}
#endif

template <class X, class W, int MR, int NT>
void multiply(const X* const* rows, const W* panels, int64_t stride, int64_t K, float* out) {
#if defined(__AVX512BF16__)
  if constexpr (std::is_same_v<X, bf16_t> && std::is_same_v<W, bf16_t>) {
    return multiply_tile_dot<MR, NT>(rows, panels, stride, K, out);
  }
#endif
  multiply_tile<X, W, MR, NT>(rows, panels, stride, K, out);
}

/// The smallest instantiated tile that holds `count` rows. Rows beyond `count` must point at valid memory;
/// they are computed and not used: streaming the weights once matters more than the spare arithmetic.
template <class X, class W, int NT>
void multiply_rows(int count, const X* const* rows, const W* panels, int64_t stride, int64_t K, float* out) {
  if (count == 1) return multiply<X, W, 1, NT>(rows, panels, stride, K, out);
  if constexpr (kTileRows == 3) {
    multiply<X, W, 3, NT>(rows, panels, stride, K, out);
  } else if constexpr (NT == 1) {  // the odd last panel
    count <= 4 ? multiply<X, W, 4, NT>(rows, panels, stride, K, out)
               : multiply<X, W, 12, NT>(rows, panels, stride, K, out);
  } else {
    if (count == 2) return multiply<X, W, 2, NT>(rows, panels, stride, K, out);
    if (count <= 4) return multiply<X, W, 4, NT>(rows, panels, stride, K, out);
    if (count <= 6) return multiply<X, W, 6, NT>(rows, panels, stride, K, out);
    if constexpr (NT == kTilePanels) {
      count <= 8 ? multiply<X, W, 8, NT>(rows, panels, stride, K, out)
                 : multiply<X, W, 12, NT>(rows, panels, stride, K, out);
    }
  }
}

/// Rows that lie a multiple of 4096 bytes apart fall into the same few sets of a 32 KiB L1 cache and push
/// each other out: +35 % at K = 2048 bf16 from copying them apart (linear T=512, two Zen 4 cores). `staging`
/// is the thread's workspace.
template <class X>
void separate_rows(int count, const X** rows, int64_t K, X* staging) {
  constexpr int64_t kLine = 64 / sizeof(X);
  const int64_t stride = (K + kLine - 1) / kLine * kLine + kLine;
  const auto distance = reinterpret_cast<intptr_t>(rows[1]) - reinterpret_cast<intptr_t>(rows[0]);
  const bool conflict = count > 1 && distance % 4096 == 0;
  if (!conflict || kTileRows * stride * sizeof(X) > kWorkspaceBytes) return;
  for (int i = 0; i < kTileRows; i++) {
    X* copy = staging + std::min(i, count - 1) * stride;
    if (i < count) std::memcpy(copy, rows[i], K * sizeof(X));
    rows[i] = copy;
  }
}

/// Runs x[rows] times panels [first, last) and hands each tile to `finish(row, count, panel, panels, tile)`,
/// where tile is [count][panels * 16] f32. `row_at(i)` gives the i-th row of x. Tiles start at even panels if
/// `first` does, so gate and up panels that lie side by side stay together. `staging`: workspace of the
/// thread.
template <class X, class W, class RowAt, class Finish>
void multiply_block(int64_t num_rows, const RowAt& row_at, const W* weight, int64_t K, int64_t first,
                    int64_t last, X* staging, const Finish& finish) {
  const int64_t stride = panel_elements<W>(K);
  alignas(64) float tile[kTileRows * kStreamPanels * kPanel];
  const X* rows[kTileRows];
  const bool streaming = num_rows <= kStreamRows;
  const int tile_rows = streaming ? kStreamRows : kTileRows;
  for (int64_t row = 0; row < num_rows; row += tile_rows) {
    const int count = static_cast<int>(std::min<int64_t>(tile_rows, num_rows - row));
    for (int i = 0; i < kTileRows; i++) rows[i] = row_at(row + std::min(i, count - 1));
    if (!streaming) separate_rows(count, rows, K, staging);
    for (int64_t panel = first; panel < last;) {
      const W* at = weight + panel * stride;
      const int64_t left = last - panel;
      int panels = kTilePanels;
      if (streaming && left >= kStreamPanels) {
        panels = kStreamPanels;
        multiply_rows<X, W, kStreamPanels>(count, rows, at, stride, K, tile);
      } else if (left >= kTilePanels) {
        multiply_rows<X, W, kTilePanels>(count, rows, at, stride, K, tile);
      } else {
        panels = 1;
        multiply_rows<X, W, 1>(count, rows, at, stride, K, tile);
      }
      finish(row, count, panel, panels, tile);
      panel += panels;
    }
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
