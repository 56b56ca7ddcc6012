// The streaming pass over logits [B, V]: a block of threads takes one slice of one row into registers. The
// slices of a row depend on V alone, so what is computed from them does not depend on the batch.
#pragma once
#include "cuda/device/vectors.cuh"
#include "cuda/device/warp.cuh"
#include "cuda/logits/logit_order.cuh"

namespace warploop::cuda {

/// How [B, V] is cut: `slices` per row, each of `threads` threads.
struct SliceGrid {
  int64_t slices;
  int threads;
};

/// The part of a slice that one thread holds. A warp's step covers 32 kVector kLoads consecutive tokens,
/// which are one or more whole blocks of 64; kSteps steps follow each other. Tokens beyond the row read as
/// NaN.
template <int kVector>
struct LogitSlice {
  static constexpr int kLoads = kVector == 1 ? 2 : 1;
  static constexpr int kSteps = 4;  // 4 x 16 bytes under way per thread
  static constexpr int kStep = kWarpSize * kVector * kLoads;
  static constexpr int kWarpTokens = kStep * kSteps;
  static constexpr int kMostWarps = 8;

  float values[kSteps][kLoads][kVector];
  int64_t first;  // token of values[0][0][0]

  /// `warp`: counted over all slices of the row.
  WARPLOOP_DEVICE LogitSlice(const Rows& logits, int64_t V, int64_t row, int64_t warp) {
    const int64_t offset = row * logits.strides[kOuterAxes - 1];
    first = warp * kWarpTokens + lane_index() * kVector;
    uint4 raw[kSteps][kLoads];
#pragma unroll
    for (int s = 0; s < kSteps; s++) {
#pragma unroll
      for (int l = 0; l < kLoads; l++) {
        raw[s][l] = {0, 0, 0, 0};
        if (token(s, l) < V) raw[s][l] = load_vector<kVector>(logits, offset + token(s, l));
      }
    }
#pragma unroll
    for (int s = 0; s < kSteps; s++) {
#pragma unroll
      for (int l = 0; l < kLoads; l++) {
        widen(raw[s][l], logits.dtype, values[s][l]);
#pragma unroll
        for (int i = 0; i < kVector; i++) values[s][l][i] = token(s, l) < V ? values[s][l][i] : NAN;
      }
    }
  }

  /// Token of values[step][load][0]. V is a multiple of kVector: a vector lies inside the row or beyond it.
  WARPLOOP_DEVICE int64_t token(int step, int load) const {
    return first + step * kStep + load * (kWarpSize * kVector);
  }

  /// body(token, value) for all values; the token is that of one lane.
  template <class Body>
  WARPLOOP_DEVICE void for_each(const Body& body) {
#pragma unroll
    for (int s = 0; s < kSteps; s++) {
#pragma unroll
      for (int l = 0; l < kLoads; l++) {
#pragma unroll
        for (int i = 0; i < kVector; i++) body(token(s, l) + i, values[s][l][i]);
      }
    }
  }

  /// Writes the maxima of the row's blocks that the slice covers. The values are comparable.
  WARPLOOP_DEVICE void store_maxima(float* maxima, int64_t V) const {
    constexpr int kLanes = kVector == 1 ? kWarpSize : kLogitBlock / kVector;  // that share a block
#pragma unroll
    for (int s = 0; s < kSteps; s++) {
      float highest = -INFINITY;
#pragma unroll
      for (int l = 0; l < kLoads; l++) {
#pragma unroll
        for (int i = 0; i < kVector; i++) highest = fmaxf(highest, values[s][l][i]);
      }
      highest = max_lanes<kLanes>(highest);
      if (lane_index() % kLanes == 0 && token(s, 0) < V) maxima[token(s, 0) / kLogitBlock] = highest;
    }
  }

  static SliceGrid grid_for(int64_t V) {
    const int64_t warps = (V + kWarpTokens - 1) / kWarpTokens;
    const int64_t per_slice = std::min<int64_t>(warps, kMostWarps);
    return {(warps + per_slice - 1) / per_slice, static_cast<int>(per_slice) * kWarpSize};
  }
};

/// Threads of LogitSlice's blocks at most.
inline constexpr int kSliceThreads = LogitSlice<8>::kMostWarps * kWarpSize;

}  // namespace warploop::cuda
