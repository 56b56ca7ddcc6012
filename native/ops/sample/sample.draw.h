// The seeded draw: argmax over the kept tokens of l / temperature + Gumbel noise, which has the distribution
// softmax(l / temperature). The noise of a token depends on (seed, position, token) alone. Part of
// sample.cpu.cc.
#pragma once
#include <algorithm>
#include <cmath>

#include "ops/sample/sample.row.h"

namespace warploop::cpu::WARPLOOP_ISA {

struct DrawKey {
  uint32_t seed_low, seed_high, position;
};

/// First words of Philox4x32-10 for kSampleBlock consecutive tokens: key (seed_low, seed_high), counter
/// (position, token, 0, 0). Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011),
/// section 3.3. Plain loops that the compiler vectorises.
inline void philox(const DrawKey& key, uint32_t first_token, uint32_t* words) {
  constexpr uint64_t kMultiplier0 = 0xd2511f53, kMultiplier1 = 0xcd9e8d57;
  uint32_t c0[kSampleBlock], c1[kSampleBlock], c2[kSampleBlock], c3[kSampleBlock];
  for (int i = 0; i < kSampleBlock; i++) {
    c0[i] = key.position;
    c1[i] = first_token + static_cast<uint32_t>(i);
    c2[i] = c3[i] = 0;
  }
  uint32_t k0 = key.seed_low, k1 = key.seed_high;
  for (int round = 0; round < 10;
       round++, k0 += 0x9e3779b9, k1 += 0xbb67ae85) {  // key schedule: Weyl sequences
    for (int i = 0; i < kSampleBlock; i++) {
      const uint64_t product0 = kMultiplier0 * c0[i], product1 = kMultiplier1 * c2[i];
      c0[i] = static_cast<uint32_t>(product1 >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<uint32_t>(product1);
      c2[i] = static_cast<uint32_t>(product0 >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<uint32_t>(product0);
    }
  }
  std::copy(c0, c0 + kSampleBlock, words);
}

/// -log(-log(u)) with u = (word / 2^8 + 0.5) 2^-24: between -2.85 and 17.33. In double, where u is exact and
/// never 0 or 1.
inline double gumbel(uint32_t word) {
  const double u = ((word >> 8) + 0.5) * 0x1p-24;
  return -std::log(-std::log(u));
}

/// Draws one of the tokens that `kept` keeps (at least one). Only tokens that can still win are evaluated: l
/// + g > best means -log(u) < e^(l - best), and 1 - u <= -log(u); so 1 - u < e^(l - best) is necessary. The
/// test is rounded generously, the evaluation is exact, hence the result is that of the plain argmax.
inline int32_t draw(const LogitRow& row, const Cutoff& kept, double temperature, const DrawKey& key) {
  constexpr float kGenerous = 1.001f;
  constexpr float kSmallest = 0x1p-25f;  // 1 - u of the largest u
  double best = -HUGE_VAL;
  int64_t winner = 0;
  for (int64_t b = 0; b < row.blocks; b++) {
    if (row.maxima[b] < kept.value) continue;
    const double lead = static_cast<double>(row.maxima[b]) - row.highest;
    if (std::exp(lead / temperature - best) * kGenerous < kSmallest) continue;

    const float* values = row.block(b);
    uint32_t words[kSampleBlock];
    float chances[kSampleBlock];
    philox(key, static_cast<uint32_t>(b * kSampleBlock), words);
    const float bound = static_cast<float>(best);
    for (int i = 0; i < kSampleBlock; i += kLanes) {
      const vf difference = (load(values + i) - row.highest) * row.inverse_temperature - bound;
      store(chances + i, exp(min(difference, splat(1.0f))) * kGenerous);
    }
    for (int64_t i = 0; i < kSampleBlock; i++) {
      const float one_minus_u = (static_cast<float>(0xffffff - (words[i] >> 8)) + 0.5f) * 0x1p-24f;
      if (one_minus_u > chances[i] || !kept.keeps(values[i], b * kSampleBlock + i)) continue;
      const double score = (static_cast<double>(values[i]) - row.highest) / temperature + gumbel(words[i]);
      if (score > best) {
        best = score;
        winner = b * kSampleBlock + i;
      }
    }
  }
  return static_cast<int32_t>(winner);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
