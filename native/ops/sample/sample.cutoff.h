// Top-k and top-p without sorting: the rank at which the weights of the best tokens reach a target, found
// digit by digit as in a radix sort of which only the bucket that holds the answer is followed. Part of
// sample.cpu.cc.
#pragma once
#include <algorithm>
#include <bit>
#include <iterator>

#include "cpu/top_list.h"
#include "ops/sample/sample.row.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Unsigned integers in the order of the floats (which are not NaN).
WARPLOOP_INLINE uint32_t key_of(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
WARPLOOP_INLINE float value_of(uint32_t key) {
  return std::bit_cast<float>(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

/// What a token weighs: 1 each (top-k), or its probability (top-p).
enum class Weigh { ones, probabilities };

/// A prefix of the ranking that is certain to hold the k best tokens: the k-th largest block maximum is a
/// bound. Spares the search most blocks when k is small.
inline Cutoff enclose_best(const LogitRow& row, int64_t k) {
  constexpr int64_t kMost = 256;  // beyond it, insertion costs more than it spares
  const Cutoff everything{-kInf, -1};
  if (k > kMost) return everything;
  float values[kMost];
  int32_t ids[kMost];
  TopList best(values, ids, k);
  for (int64_t b = 0; b < row.blocks; b++) best.offer(row.maxima[b], static_cast<int32_t>(b));
  if (!best.full() || best.last() == -kInf) return everything;
  return {best.last(), std::numeric_limits<int32_t>::max()};
}

/// A prefix of the ranking, and the weight that a search for the cutoff has to reach in it.
struct Enclosure {
  Cutoff kept;
  double wanted;
};

/// A prefix of what `kept` keeps that is certain to hold `share` of its probability: everything down to the
/// first of a few depths at which the sum suffices. One vectorised pass that spares the search most tokens of
/// a peaked distribution.
inline Enclosure enclose_share(const LogitRow& row, const Cutoff& kept, double share) {
  constexpr float kDepths[] = {1, 2,  4,  6,
                               8, 10, 12, 16};  // below the highest logit, in units of the temperature
  constexpr int kCount = std::size(kDepths);
  constexpr int64_t kChunk = 64;  // blocks summed in f32
  float floors[kCount];
  for (int j = 0; j < kCount; j++) floors[j] = row.highest - kDepths[j] / row.inverse_temperature;

  double total = 0, sums[kCount] = {};
  for (int64_t begin = 0; begin < row.blocks; begin += kChunk) {
    vf all{}, above[kCount] = {};
    for (int64_t b = begin; b < std::min(begin + kChunk, row.blocks); b++) {
      if (row.maxima[b] < kept.value) continue;
      float weights[kSampleBlock];
      row.probabilities(b, weights);
      for (int i = 0; i < kSampleBlock; i += kLanes) {
        const vf value = load(row.block(b) + i);
        const vf weight =
            kept.keeps(value, static_cast<int32_t>(b * kSampleBlock + i)) ? load(weights + i) : vf{};
        all += weight;
        for (int j = 0; j < kCount; j++) above[j] += value >= floors[j] ? weight : vf{};
      }
    }
    total += reduce_add(all);
    for (int j = 0; j < kCount; j++) sums[j] += reduce_add(above[j]);
  }

  const double wanted = std::max(share * total, std::numeric_limits<double>::min());  // at least one token
  for (int j = 0; j < kCount; j++) {
    if (sums[j] >= wanted && floors[j] > kept.value)
      return {{floors[j], std::numeric_limits<int32_t>::max()}, wanted};
  }
  return {kept, wanted};
}

class CutoffSearch {
 public:
  static constexpr int kBins = 2048;
  /// Neighbouring tokens add to different copies of the bins: adding to one bin again and again would wait
  /// for itself.
  static constexpr int kCopies = 4;

  /// `mass` is scratch of kBins * kCopies.
  CutoffSearch(const LogitRow& row, Weigh weigh, double* mass) : row_(row), weigh_(weigh), mass_(mass) {}

  /// The shortest prefix of what `kept` keeps whose weight reaches `wanted`; all of it when none does.
  Cutoff shorten(const Cutoff& kept, double wanted) {
    prefix_ = 0, above_ = 0;
    fill(kept, 21, 32);
    double total = 0;
    for (int i = 0; i < kBins; i++) total += mass_[i];
    if (!(wanted <= total)) return kept;
    descend(wanted, 11);
    fill(kept, 10, 21);
    descend(wanted, 11);
    fill(kept, 0, 10);
    descend(wanted, 10);
    return nth_equal(kept, value_of(prefix_), wanted - above_);
  }

 private:
  /// mass_[d] = weight of the kept tokens whose key has the digits prefix_ above bit `high` and d in [low,
  /// high).
  void fill(const Cutoff& kept, int low, int high) {
    std::fill(mass_, mass_ + kBins * kCopies, 0.0);
    const uint32_t digits = (1u << (high - low)) - 1;
    const float lowest = high == 32 ? kept.value : std::max(kept.value, value_of(prefix_ << high));
    const float largest = high == 32 ? kInf : value_of(prefix_ << high | ((1u << high) - 1));
    visit(kept, lowest, largest, [&](int64_t id, float value, float weight) {
      mass_[id % kCopies * kBins + (key_of(value) >> low & digits)] += weight;
      return true;
    });
    for (int i = 0; i < kBins; i++) {
      for (int copy = 1; copy < kCopies; copy++) mass_[i] += mass_[copy * kBins + i];
    }
  }

  /// Appends the digit (of `bits` bits) of the bin in which the weight, summed from the best bin down,
  /// reaches `wanted`. Rounding may leave the bins of a finer digit short of their sum: then it is the last
  /// bin that holds anything.
  void descend(double wanted, int bits) {
    int digit = 0;
    double before = above_, sum = above_;
    for (int i = (1 << bits) - 1; i >= 0; i--) {
      if (mass_[i] == 0) continue;
      digit = i;
      before = sum;
      sum += mass_[i];
      if (sum >= wanted) break;
    }
    above_ = before;
    prefix_ = prefix_ << bits | static_cast<uint32_t>(digit);
  }

  /// Equal logits are kept by ascending id until their weight reaches `wanted`; at least one.
  Cutoff nth_equal(const Cutoff& kept, float value, double wanted) const {
    Cutoff cutoff{value, 0};
    double sum = 0;
    visit(kept, value, value, [&](int64_t id, float, float weight) {
      cutoff.last = static_cast<int32_t>(id);
      sum += weight;
      return sum < wanted;
    });
    return cutoff;
  }

  /// body(id, logit, weight) for each kept token with a logit in [low, high], until it returns false.
  template <class Body>
  void visit(const Cutoff& kept, float low, float high, const Body& body) const {
    uint8_t indices[kSampleBlock];
    float weights[kSampleBlock];
    std::fill(weights, weights + kSampleBlock, 1.0f);
    for (int64_t b = 0; b < row_.blocks; b++) {
      const int count = row_.find(b, kept, low, high, indices);
      if (count > 0 && weigh_ == Weigh::probabilities) row_.probabilities(b, weights);
      for (int n = 0; n < count; n++) {
        const int i = indices[n];
        if (!body(b * kSampleBlock + i, row_.block(b)[i], weights[i])) return;
      }
    }
  }

  const LogitRow& row_;
  Weigh weigh_;
  double* mass_;
  uint32_t prefix_ = 0;  // digits of the answer's key found so far
  double above_ = 0;     // weight of the tokens above the bin that is followed
};

}  // namespace warploop::cpu::WARPLOOP_ISA
