// The processed logits of one row, and which of its tokens are still in the running. Part of sample.cpu.cc.
#pragma once
#include <cstdint>

#include "cpu/simd.h"
#include "ops/sample/sample.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Logits in whole blocks (the padding is -inf), with the largest of each block: most blocks of a vocabulary
/// hold nothing of interest, and one comparison skips them. No element is NaN, +inf or -0.
struct LogitRow {
  float* values;  // [blocks * kSampleBlock]
  float* maxima;  // [blocks]
  int64_t blocks;
  float highest;  // of all values; finite, unless nothing can be chosen
  float inverse_temperature;

  const float* block(int64_t b) const { return values + b * kSampleBlock; }

  /// Whether a value of the block lies in [low, high].
  bool any_between(int64_t b, float low, float high) const {
    vi inside{};
    for (int i = 0; i < kSampleBlock; i += kLanes) {
      const vf v = load(block(b) + i);
      inside |= (v >= low) & (v <= high);
    }
    int32_t any = 0;
    for (int i = 0; i < kLanes; i++) any |= inside[i];
    return any != 0;
  }

  /// out[i] = exp((l - highest) / temperature): the probabilities of a block, up to the common factor.
  void probabilities(int64_t b, float* out) const {
    for (int i = 0; i < kSampleBlock; i += kLanes) {
      store(out + i, exp((load(block(b) + i) - highest) * inverse_temperature));
    }
  }
};

/// The tokens that are kept form a prefix of the ranking by descending logit, then ascending id. This is its
/// last member.
struct Cutoff {
  float value;   // larger logits are kept
  int32_t last;  // logits equal to `value` are kept up to this id

  bool keeps(float logit, int64_t id) const { return logit > value || (logit == value && id <= last); }
};

}  // namespace warploop::cpu::WARPLOOP_ISA
