// The seeded draw: argmax over the kept tokens of l / temperature + Gumbel noise, the counterpart of
// sample.draw.h, for the threads of a block. Part of sample.cu.
#pragma once
#include "cuda/device/block.cuh"
#include "cuda/logits/logit_row.cuh"

namespace warploop::cuda {

/// Logits in units of the temperature, the highest being 0.
struct Temperature {
  float value;
  float highest;
  float inverse;

  WARPLOOP_DEVICE float lead(float v) const {
    const float d = v - highest;
    if (d == -INFINITY)
      return (0.5f * v - 0.5f * highest) * inverse * 2.0f;  // an inverse of 0 must not make it NaN
    return d * inverse;
  }
};

struct DrawKey {
  uint32_t seed_low, seed_high, position;
};

/// First word of Philox4x32-10: key (seed_low, seed_high), counter (position, token, 0, 0). Salmon et al.,
/// "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011), section 3.3.
WARPLOOP_DEVICE uint32_t philox(const DrawKey& key, uint32_t token) {
  uint32_t c0 = key.position, c1 = token, c2 = 0, c3 = 0, k0 = key.seed_low, k1 = key.seed_high;
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const uint64_t product0 = uint64_t{0xd2511f53u} * c0, product1 = uint64_t{0xcd9e8d57u} * c2;
    c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(product1);
    c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(product0);
    k0 += 0x9e3779b9u;  // key schedule: Weyl sequences
    k1 += 0xbb67ae85u;
  }
  return c0;
}

/// -log(-log(u)) with u = (word / 2^8 + 0.5) 2^-24: between -2.86 and 17.33.
WARPLOOP_DEVICE double gumbel(uint32_t word) { return -std::log(-std::log(((word >> 8) + 0.5) * 0x1p-24)); }
/// (1 - u): exact from u = 0.5 on, where u is not.
WARPLOOP_DEVICE float one_minus_u(uint32_t word) {
  return (static_cast<float>(0xffffffu - (word >> 8)) + 0.5f) * 0x1p-24f;
}
/// The noise in f32, to about 2e-6.
WARPLOOP_DEVICE float gumbel_float(uint32_t word) {
  const uint32_t k = word >> 8;
  const float u = (static_cast<float>(k) + 0.5f) * 0x1p-24f;
  return -logf(k < 0x800000u ? -logf(u) : -log1pf(-one_minus_u(word)));
}

struct DrawPlan {
  BlockScratch<float> floats;
  BlockScratch<double> scores;
  BlockScratch<uint32_t> ids;
};

/// Every token gets its score in f32 unless a bound shows that it cannot win, and those that come within
/// kClose of the best get it in double: the result is that of the plain argmax in double, the lowest id
/// first. Every thread of the block calls every function.
class Draw {
 public:
  WARPLOOP_DEVICE Draw(const LogitRow& row, const Cutoff& kept, const Temperature& temperature,
                       const DrawKey& key, DrawPlan& plan)
      : row_(row), kept_(kept), temperature_(temperature), key_(key), plan_(plan) {}

  /// `kept` keeps at least one token.
  WARPLOOP_DEVICE uint32_t winner() {
    Best best{-INFINITY, 0, 0, false};
    float bound = -2.9f;  // what the winner reaches: the highest logit is kept, and this is the least noise
    row_.visit(
        [&](float highest) {
          return highest >= kept_.value && temperature_.lead(highest) + kMostNoise >= bound;
        },
        [&](uint32_t id, float v) { best.offer(score(id, v, bound), id, v); },
        [&] { bound = fmaxf(bound, max_lanes(best.score)); });
    const float threshold = max_block(best.score, plan_.floats) - kClose;

    double highest = -HUGE_VAL;
    uint32_t winner = kEveryId;
    const bool contends = best.score >= threshold;
    const uint32_t is_unsure = contends && best.is_close;
    if (reduce_block(is_unsure, 0u, plan_.ids, LargerOf{}) !=
        0) {  // some thread has several of them: find all again
      for (uint32_t id = threadIdx.x; id < row_.V; id += blockDim.x) {
        const float v = row_.value_of(id);
        if (score(id, v, threshold) < threshold) continue;
        const double exact = exact_score(id, v);
        if (exact > highest) highest = exact, winner = id;
      }
    } else if (contends) {
      highest = exact_score(best.id, best.value), winner = best.id;
    }
    const double top = reduce_block(highest, -HUGE_VAL, plan_.scores, LargerOf{});
    return reduce_block(highest == top ? winner : kEveryId, kEveryId, plan_.ids, SmallerOf{});
  }

 private:
  static constexpr float kClose =
      1e-4f;  // far beyond the error of a score in f32, of which no more than 20.3 count
  static constexpr float kMostNoise = 17.4f;

  /// The best token of a thread.
  struct Best {
    float score;
    uint32_t id;
    float value;
    bool is_close;  // another one may be better in double

    WARPLOOP_DEVICE void offer(float other, uint32_t other_id, float other_value) {
      if (other > score + kClose) {
        score = other, id = other_id, value = other_value, is_close = false;
      } else if (other >= score - kClose && other > -INFINITY) {
        score = fmaxf(score, other), is_close = true;
      }
    }
  };

  /// In f32; -inf for a token that is not kept or stays below `bound`: l + g > bound means -log(u) < e^(l -
  /// bound), and 1 - u <= -log(u).
  WARPLOOP_DEVICE float score(uint32_t id, float v, float bound) const {
    if (!kept_.keeps(v, id)) return -INFINITY;
    const float lead = temperature_.lead(v), reach = lead - bound;
    if (!(reach + kMostNoise >= 0)) return -INFINITY;
    const uint32_t word = philox(key_, id);
    if (one_minus_u(word) > 1.01f * exp2_fast(1.442695f * fminf(reach, 1.0f))) return -INFINITY;
    return lead + gumbel_float(word);
  }
  WARPLOOP_DEVICE double exact_score(uint32_t id, float v) const {
    return (static_cast<double>(v) - temperature_.highest) / temperature_.value + gumbel(philox(key_, id));
  }

  const LogitRow& row_;
  Cutoff kept_;
  Temperature temperature_;
  DrawKey key_;
  DrawPlan& plan_;
};

}  // namespace warploop::cuda
