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

/// First words of Philox4x32-10 for kLanes tokens: key (seed_low, seed_high), counter (position, token, 0,
/// 0). Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011), section 3.3.
WARPLOOP_INLINE vu philox(const DrawKey& key, vu tokens) {
  vu c0 = vu{} + key.position, c1 = tokens, c2{}, c3{}, high0, high1, low0, low1;
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

/// The draw among the kept tokens. Only those that can still win are evaluated: l + g > best means -log(u) <
/// e^(l - best), and 1 - u <= -log(u), so 1 - u < e^(l - best) is necessary. Both tests before the evaluation
/// are rounded generously and the evaluation is exact: the result is that of the plain argmax, the lowest id
/// first.
class Draw {
 public:
  Draw(const LogitRow& row, double temperature, const DrawKey& key)
      : row_(row), temperature_(temperature), key_(key) {}

  /// `kept` keeps at least one token.
  int32_t among(const Cutoff& kept) {
    uint8_t indices[kSampleBlock];
    for (int64_t b = 0; b < row_.blocks; b++) {
      const int found = row_.find(b, kept, lowest_, kInf, indices);
      for (int n = 0; n < found; n++) {
        ids_[count_ + n] = static_cast<uint32_t>(b * kSampleBlock + indices[n]);
        values_[count_ + n] = row_.block(b)[indices[n]];
      }
      count_ += found;
      if (count_ >= kSampleBlock) try_batch();
    }
    try_batch();
    return static_cast<int32_t>(winner_);
  }

 private:
  void try_batch() {
    std::fill(ids_ + count_, ids_ + count_ + kLanes, 0);
    std::fill(values_ + count_, values_ + count_ + kLanes, -kInf);
    for (int i = 0; i < count_; i += kLanes) try_vector(i);
    count_ = 0;
  }

  void try_vector(int at) {
    const vu words = philox(key_, load_as<vu>(ids_ + at));
    const vi complement = 0xffffff - __builtin_convertvector(words >> 8, vi);
    const vf one_minus_u = (__builtin_convertvector(complement, vf) + 0.5f) * 0x1p-24f;
    const vf lead =
        (load(values_ + at) - row_.highest) * row_.inverse_temperature - static_cast<float>(best_);
    const vf reach = exp(min(lead, splat(1.0f))) * kGenerous - one_minus_u;
    if (reduce_max(reach) < 0) return;
    for (int i = 0; i < kLanes; i++) {
      if (reach[i] < 0 || values_[at + i] == -kInf) continue;
      const double score =
          (static_cast<double>(values_[at + i]) - row_.highest) / temperature_ + gumbel(words[i]);
      if (score <= best_) continue;
      best_ = score;
      winner_ = ids_[at + i];
      lowest_ = std::nextafter(static_cast<float>(row_.highest + (best_ - kMostNoise) * temperature_), -kInf);
    }
  }

  static constexpr float kGenerous = 1.001f;
  static constexpr double kMostNoise = 17.4;

  const LogitRow& row_;
  double temperature_;
  DrawKey key_;
  double best_ = -HUGE_VAL;  // score so far; the highest logit counts 0
  uint32_t winner_ = 0;
  float lowest_ = -kInf;                     // a smaller logit cannot beat the best with any noise
  uint32_t ids_[2 * kSampleBlock + kLanes];  // kept tokens that wait for a full batch
  float values_[2 * kSampleBlock + kLanes];
  int count_ = 0;
};

}  // namespace warploop::cpu::WARPLOOP_ISA
