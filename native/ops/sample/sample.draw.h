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

/// The two halves of the 64-bit products of the lanes of `a` and `factor`.
WARPLOOP_INLINE void multiply(vu a, uint32_t factor, vu& high, vu& low) {
#if defined(__AVX512F__)
  const __m512i lanes = reinterpret_cast<__m512i>(a), factors = _mm512_set1_epi64(factor);
  const __m512i even = _mm512_mul_epu32(lanes, factors),
                odd = _mm512_mul_epu32(_mm512_srli_epi64(lanes, 32), factors);
  low = reinterpret_cast<vu>(_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
  high = reinterpret_cast<vu>(_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd));
#elif defined(__AVX2__)
  const __m256i lanes = reinterpret_cast<__m256i>(a), factors = _mm256_set1_epi64x(factor);
  const __m256i even = _mm256_mul_epu32(lanes, factors),
                odd = _mm256_mul_epu32(_mm256_srli_epi64(lanes, 32), factors);
  low = reinterpret_cast<vu>(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa));
  high = reinterpret_cast<vu>(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa));
#else
  for (int i = 0; i < kLanes; i++) {
    const uint64_t product = static_cast<uint64_t>(a[i]) * factor;
    low[i] = static_cast<uint32_t>(product);
    high[i] = static_cast<uint32_t>(product >> 32);
  }
#endif
}

/// First words of Philox4x32-10 for kLanes consecutive tokens: key (seed_low, seed_high), counter (position,
/// token, 0, 0). Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011), section 3.3.
WARPLOOP_INLINE vu philox(const DrawKey& key, uint32_t first_token) {
  vu c0 = vu{} + key.position, c1, c2{}, c3{}, high0, high1, low0, low1;
  for (int i = 0; i < kLanes; i++) c1[i] = first_token + static_cast<uint32_t>(i);
  uint32_t k0 = key.seed_low, k1 = key.seed_high;
  for (int round = 0; round < 10;
       round++, k0 += 0x9e3779b9, k1 += 0xbb67ae85) {  // key schedule: Weyl sequences
    multiply(c0, 0xd2511f53, high0, low0);
    multiply(c2, 0xcd9e8d57, high1, low1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
  }
  return c0;
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
    const float bound = static_cast<float>(best);
    uint32_t words[kSampleBlock];
    float reach[kSampleBlock];  // >= 0: can win
    vf furthest = splat(-1.0f);
    for (int i = 0; i < kSampleBlock; i += kLanes) {
      const vu word = philox(key, static_cast<uint32_t>(b * kSampleBlock + i));
      const vi complement = 0xffffff - __builtin_convertvector(word >> 8, vi);
      const vf one_minus_u = (__builtin_convertvector(complement, vf) + 0.5f) * 0x1p-24f;
      const vf lead = (load(values + i) - row.highest) * row.inverse_temperature - bound;
      const vf difference = exp(min(lead, splat(1.0f))) * kGenerous - one_minus_u;
      std::memcpy(words + i, &word, sizeof word);
      store(reach + i, difference);
      furthest = max(furthest, difference);
    }
    if (reduce_max(furthest) < 0) continue;
    for (int64_t i = 0; i < kSampleBlock; i++) {
      if (reach[i] < 0 || !kept.keeps(values[i], b * kSampleBlock + i)) continue;
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
