// What the Hopper kernels do with the scores of a tile, as wgmma leaves them: of 64 rows and kKeys keys a
// lane has two rows, `half` 0 and 1, whose keys are elements 4 j + 2 half and the next, for j < kKeys / 8.
#pragma once
#include "cuda/attention/queue.cuh"
#include "cuda/device/warp.cuh"

namespace warploop::cuda {

/// -inf where a row does not see a key. `position`: of the lane's two rows, among the keys; `key`: the first.
template <int kKeys>
WARPLOOP_DEVICE void hide_scores(const AttentionProblem& p, const AttentionItem& item, const ItemKeys& keys,
                                 const int (&position)[2], int key, float (&s)[kKeys / 2]) {
  const int column = key + lane_index() % 4 * 2;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    // Columns [low, high) of this lane are seen.
    const KeyRange seen = seen_keys<kKeys>(p, item, keys, position[half], key);
    const int high = seen.end - column, low = seen.begin - column;
#pragma unroll
    for (int at = 2 * half; at < kKeys / 2; at += 4) {
#pragma unroll
      for (int e = 0; e < 2; e++) {
        const int j = at / 4 * 8 + e;
        s[at + e] = (j < high) & (j >= low) ? s[at + e] : -INFINITY;  // a select: no branch per element
      }
    }
  }
  if (!p.tree_mask) return;
#pragma unroll
  for (int half = 0; half < 2; half++) {
#pragma unroll
    for (int at = 0; at < kKeys; at += 32) {
      const uint32_t hidden = hidden_keys(p, item, position[half], column + at);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        float& score = s[at / 2 + j / 2 * 4 + 2 * half + j % 2];
        if (hidden >> (j / 2 * 8 + j % 2) & 1u) score = -INFINITY;
      }
    }
  }
}

/// The highest score of a row, known to the four lanes that share it.
template <int kKeys>
WARPLOOP_DEVICE float highest_score(const float (&s)[kKeys / 2], int half) {
  float best = -INFINITY;
#pragma unroll
  for (int j = 0; j < kKeys / 8; j++) best = fmaxf(best, fmaxf(s[4 * j + 2 * half], s[4 * j + 2 * half + 1]));
  return max_lanes<4>(best);
}

/// s = 2^(s unit - base) of a row; returns the sum of the lane's own.
template <int kKeys>
WARPLOOP_DEVICE float weigh_scores(float (&s)[kKeys / 2], int half, float unit, float base) {
  float total = 0;
#pragma unroll
  for (int j = 0; j < kKeys / 8; j++) {
#pragma unroll
    for (int at = 4 * j + 2 * half; at < 4 * j + 2 * half + 2; at++) {
      s[at] = exp2_fast(fmaf(s[at], unit, -base));
      total += s[at];
    }
  }
  return total;
}

}  // namespace warploop::cuda
