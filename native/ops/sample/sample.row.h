// The processed logits of one row, and which of its tokens are still in the running. Part of sample.cpu.cc.
#pragma once
#include <cstdint>

#include "cpu/simd.h"
#include "ops/sample/sample.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// The tokens that are kept form a prefix of the ranking by descending logit, then ascending id. This is its
/// last member.
struct Cutoff {
  float value;   // larger logits are kept
  int32_t last;  // logits equal to `value` are kept up to this id

  /// Whether kLanes tokens from `first` on are kept, as a mask.
  vi keeps(vf logits, int32_t first) const {
    constexpr int32_t kLane[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    static_assert(kLanes <= 16);
    return (logits > value) | ((logits == value) & (load_as<vi>(kLane) + first <= last));
  }
};

/// Logits in whole blocks (the padding is -inf), with the largest of each block: most blocks of a vocabulary
/// hold nothing of interest, and one comparison skips them. No element is NaN, +inf or -0.
struct LogitRow {
  float* values;  // [blocks * kSampleBlock]
  float* maxima;  // [blocks]
  int64_t blocks;
  float highest;  // of all values; finite, unless nothing can be chosen
  float inverse_temperature;

  const float* block(int64_t b) const { return values + b * kSampleBlock; }

  /// out[i] = exp((l - highest) / temperature): the probabilities of a block, up to the common factor.
  void probabilities(int64_t b, float* out) const {
    for (int i = 0; i < kSampleBlock; i += kLanes) {
      store(out + i, exp((load(block(b) + i) - highest) * inverse_temperature));
    }
  }

  /// Indices within a block of the tokens that `kept` keeps and whose logits lie in [low, high], ascending;
  /// returns how many. Appends without branching: which tokens they are is unpredictable.
  int find(int64_t b, const Cutoff& kept, float low, float high, uint8_t* indices) const {
    if (maxima[b] < low || maxima[b] < kept.value) return 0;
    int32_t chosen[kSampleBlock];
    vi any{};
    for (int i = 0; i < kSampleBlock; i += kLanes) {
      const vf v = load(block(b) + i);
      const vi mask = kept.keeps(v, static_cast<int32_t>(b * kSampleBlock + i)) & (v >= low) & (v <= high);
      std::memcpy(chosen + i, &mask, sizeof mask);
      any |= mask;
    }
    int32_t some = 0;
    for (int i = 0; i < kLanes; i++) some |= any[i];
    if (!some) return 0;
    int count = 0;
    for (int i = 0; i < kSampleBlock; i++) {
      indices[count] = static_cast<uint8_t>(i);
      count -= chosen[i];  // a true lane is -1
    }
    return count;
  }
};

}  // namespace warploop::cpu::WARPLOOP_ISA
