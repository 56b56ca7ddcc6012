// The arithmetic of attention on tensor cores for the rows of one warp, in blocks of 16: S = Q K^T, the
// online softmax, O += P V. Fragments as in device/mma.cuh: lane (g = lane / 4, t = lane % 4) holds the rows
// g and g + 8 of a block, in S and O the columns 2t, 2t + 1 of each group of 8.
//
// Tiles in shared memory are [rows][kWidth] of 16-bit elements in chunks of 16 bytes, permuted within a row
// so that the 8 rows of a matrix load lie in different banks.
#pragma once
#include "cuda/device/async_copy.cuh"
#include "cuda/device/mma.cuh"
#include "cuda/device/warp.cuh"

namespace warploop::cuda {

/// Byte offset of chunk `chunk` of row `row`. Tiles are aligned to 128 bytes.
template <int kWidth>
constexpr uint32_t chunk_offset(int row, int chunk) {
  static_assert(kWidth % 64 == 0);
  return static_cast<uint32_t>(row * kWidth * 2 + (chunk ^ (row & 7)) * 16);
}
/// The address `columns` (a multiple of 16) to the right of chunk 0 or 1 of a row: one operation instead of a
/// register for each of the addresses that a lane needs.
constexpr uint32_t move_right(uint32_t address, int columns) {
  return (address ^ static_cast<uint32_t>(columns % 64 * 2)) + static_cast<uint32_t>(columns / 64 * 128);
}

template <int kRowBlocks>
struct SoftmaxState {
  float max[kRowBlocks][2];  // of the scaled scores, in base 2; of the rows g and g + 8
  float sum[kRowBlocks][2];  // this lane's share; of probabilities before they are rounded
};

template <int kRowBlocks, int kColumns8>
WARPLOOP_DEVICE void clear(float (&d)[kRowBlocks][kColumns8][4]) {
#pragma unroll
  for (int r = 0; r < kRowBlocks; r++) {
#pragma unroll
    for (int n = 0; n < kColumns8; n++) d[r][n][0] = d[r][n][1] = d[r][n][2] = d[r][n][3] = 0;
  }
}
template <int kRowBlocks>
WARPLOOP_DEVICE void clear(SoftmaxState<kRowBlocks>& state) {
#pragma unroll
  for (int r = 0; r < kRowBlocks; r++) {
    state.max[r][0] = state.max[r][1] = -INFINITY;
    state.sum[r][0] = state.sum[r][1] = 0;
  }
}

/// s = q k^T. Row block r of q begins at row first_row + 64 r; those without a bit in `active` are left out.
/// The keys are the rows from `first_key` of `keys`.
template <class T, int kWidth, int kRowBlocks, int kColumns8>
WARPLOOP_DEVICE void score(uint32_t q, int first_row, uint32_t active, uint32_t keys, int first_key,
                           float (&s)[kRowBlocks][kColumns8][4]) {
  const int lane = lane_index();
  const uint32_t q_lane = q + chunk_offset<kWidth>(first_row + lane % 16, lane / 16);
  const uint32_t key_lane = keys + chunk_offset<kWidth>(first_key + lane / 16 * 8 + lane % 8, lane / 8 % 2);
  clear(s);
  // Two row blocks fill the registers: loads further ahead than one step would spill.
#pragma unroll(kRowBlocks > 1 ? 2 : kWidth / 16)
  for (int step = 0; step < kWidth / 16; step++) {
    uint32_t a[kRowBlocks][4];
#pragma unroll
    for (int r = 0; r < kRowBlocks; r++) {
      load_matrix_x4(a[r], move_right(q_lane, step * 16) + 64 * r * kWidth * 2);
    }
#pragma unroll
    for (int n = 0; n < kColumns8 / 2; n++) {
      uint32_t b[4];
      load_matrix_x4(b, move_right(key_lane, step * 16) + n * 16 * kWidth * 2);
#pragma unroll
      for (int r = 0; r < kRowBlocks; r++) {
        if (kRowBlocks > 1 && !(active >> r & 1)) continue;
        mma_m16n8k16<T>(s[r][2 * n], a[r], b[0], b[1]);
        mma_m16n8k16<T>(s[r][2 * n + 1], a[r], b[2], b[3]);
      }
    }
  }
}

/// Hides the keys outside [begin[h], end[h]) in the rows g + 8 h. Column 0 is key `first_key`.
template <int kColumns8>
WARPLOOP_DEVICE void mask(float (&s)[kColumns8][4], int first_key, const int (&begin)[2],
                          const int (&end)[2]) {
  const int t = lane_index() % 4;
  const int from[2] = {begin[0] - first_key, begin[1] - first_key};
  const int to[2] = {end[0] - first_key, end[1] - first_key};
#pragma unroll
  for (int n = 0; n < kColumns8; n++) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const int column = n * 8 + 2 * t + e % 2;
      if (column < from[e / 2] || column >= to[e / 2]) s[n][e] = -INFINITY;
    }
  }
}

/// s *= the factors of its columns, the scales of keys that are codes.
template <int kColumns8>
WARPLOOP_DEVICE void scale_scores(const float* factors, float (&s)[kColumns8][4]) {
  const int t = lane_index() % 4;
#pragma unroll
  for (int n = 0; n < kColumns8; n++) {
    const float2 f = *reinterpret_cast<const float2*>(factors + n * 8 + 2 * t);
    s[n][0] *= f.x, s[n][1] *= f.y;
    s[n][2] *= f.x, s[n][3] *= f.y;
  }
}

/// Turns scores into probabilities relative to the running maximum, rounded to T as operands of add_values();
/// `factors`: of the columns, the scales of values that are codes, which may be anything where a score is
/// hidden;
/// `decay`: what earlier sums must be multiplied with. A tile in which a row sees nothing leaves its state as
/// it is, to the bit.
template <class T, int kColumns8>
WARPLOOP_DEVICE void soften(const float (&s)[kColumns8][4], float unit, float (&max)[2], float (&sum)[2],
                            float (&decay)[2], uint32_t (&weights)[kColumns8 / 2][4],
                            const float* factors = nullptr) {
#pragma unroll
  for (int h = 0; h < 2; h++) {
    float highest = -INFINITY;
#pragma unroll
    for (int n = 0; n < kColumns8; n++) highest = fmaxf(highest, fmaxf(s[n][2 * h], s[n][2 * h + 1]));
    highest = max_lanes<4>(highest);
    const float after = fmaxf(max[h], highest * unit);
    const float base = after == -INFINITY ? 0.0f : after;  // nothing seen yet: 2^(-inf - 0) = 0
    decay[h] = exp2_fast(max[h] - base);
    max[h] = after;
    float added = 0;
#pragma unroll
    for (int n = 0; n < kColumns8; n++) {
      float a = exp2_fast(fmaf(s[n][2 * h], unit, -base));
      float b = exp2_fast(fmaf(s[n][2 * h + 1], unit, -base));
      added += a + b;
      if (factors) {
        const float2 f = *reinterpret_cast<const float2*>(factors + n * 8 + lane_index() % 4 * 2);
        a = s[n][2 * h] == -INFINITY ? 0.0f : a * f.x;
        b = s[n][2 * h + 1] == -INFINITY ? 0.0f : b * f.y;
      }
      weights[n / 2][n % 2 * 2 + h] = pack_pair<T>(a, b);
    }
    sum[h] = fmaf(sum[h], decay[h], added);
  }
}

/// o *= decay. Skipped when it changes nothing in the warp: most tiles do not raise a maximum.
template <int kColumns8>
WARPLOOP_DEVICE void rescale(float (&o)[kColumns8][4], const float (&decay)[2]) {
  if (all_lanes(decay[0] == 1 && decay[1] == 1)) return;
#pragma unroll
  for (int n = 0; n < kColumns8; n++) {
    o[n][0] *= decay[0], o[n][1] *= decay[0];
    o[n][2] *= decay[1], o[n][3] *= decay[1];
  }
}

/// o += p v with the weights p of soften(). The values are the rows from `first_key` of `values`; `active` as
/// for score().
template <class T, int kWidth, int kRowBlocks, int kKeys16, int kColumns8>
WARPLOOP_DEVICE void add_values(const uint32_t (&weights)[kRowBlocks][kKeys16][4], uint32_t active,
                                uint32_t values, int first_key, float (&o)[kRowBlocks][kColumns8][4]) {
  const int lane = lane_index();
  const uint32_t lane_address =
      values + chunk_offset<kWidth>(first_key + lane / 8 % 2 * 8 + lane % 8, lane / 16);
#pragma unroll
  for (int k = 0; k < kKeys16; k++) {
#pragma unroll
    for (int n = 0; n < kColumns8 / 2; n++) {
      uint32_t b[4];
      load_matrix_x4_transposed(b, move_right(lane_address, n * 16) + k * 16 * kWidth * 2);
#pragma unroll
      for (int r = 0; r < kRowBlocks; r++) {
        if (kRowBlocks > 1 && !(active >> r & 1)) continue;
        mma_m16n8k16<T>(o[r][2 * n], weights[r][k], b[0], b[1]);
        mma_m16n8k16<T>(o[r][2 * n + 1], weights[r][k], b[2], b[3]);
      }
    }
  }
}

}  // namespace warploop::cuda
