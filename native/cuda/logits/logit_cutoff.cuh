// Top-k and top-p without sorting: the rank at which the weights of the best tokens reach a target.
// The counterpart of ops/sample/sample.cutoff.h, for the threads of a block.
//
// Steps:     1. histogram of the weights over bins of equal width below the highest logit: their edges are
//               monotone in the logit, and unlike the digits of a float they spread a vocabulary evenly
//            2. the bin in which the target is reached
//            3. the range of keys of its tokens, divided into bins again until one value is left
//            4. of equal logits: the same over the ids
// Numerics:  weights are integers, so every order of the additions gives the same sum
#pragma once
#include <bit>

#include "cuda/device/memory.cuh"
#include "cuda/device/scan.cuh"
#include "cuda/logits/logit_row.cuh"

namespace warploop::cuda {

/// A count of tokens, or a sum of probabilities in fixed point.
using Mass = uint64_t;

struct CutoffPlan {
  static constexpr int kDigits = 11;
  static constexpr uint32_t kBins = 1u << kDigits;
  uint32_t low[kBins], high[kBins];  // halves of the masses: shared memory adds 32 bits at once, 64 in a loop
  BlockScratch<Mass> masses;
  BlockScratch<uint32_t> keys;
  Mass above, here;  // of the bin that was found: the mass before it, and its own
  uint32_t bin;
};

/// Every thread of the block calls every function, and gets the same result.
class CutoffSearch {
 public:
  /// `bins_per_unit`: bins of step 1 per unit of the logits.
  WARPLOOP_DEVICE CutoffSearch(const LogitRow& row, float bins_per_unit, CutoffPlan& plan)
      : row_(row), bins_per_unit_(bins_per_unit), plan_(plan) {}

  /// A prefix of the ranking that is certain to hold the k best tokens: down to the k-th largest block
  /// maximum, or a little further. Spares the search most blocks when k is small.
  WARPLOOP_DEVICE Cutoff enclose_best(Mass k) {
    const Cutoff everything{-INFINITY, 0};
    if (k > row_.blocks()) return everything;
    clear();
    for (uint32_t b = threadIdx.x; b < row_.blocks(); b += blockDim.x) {
      if (row_.maxima[b] > -INFINITY) add(bin_of(row_.maxima[b]), 1);
    }
    if (locate([&](Mass) { return k; }).total < k) return everything;
    const uint32_t bin = plan_.bin;
    float lowest = INFINITY;
    for (uint32_t b = threadIdx.x; b < row_.blocks(); b += blockDim.x) {
      const float v = row_.maxima[b];
      if (v > -INFINITY && bin_of(v) <= bin) lowest = fminf(lowest, v);
    }
    const uint32_t key = reduce_block(order_key(lowest), order_key(INFINITY), plan_.keys, SmallerOf{});
    return {value_of_key(key), kEveryId};
  }

  /// The shortest prefix of what `kept` keeps whose weight reaches wanted_of(weight of all of it) >= 1; all
  /// of it when that is more than there is. weigh(value): a Mass.
  template <class Weigh, class WantedOf>
  WARPLOOP_DEVICE Cutoff shorten(const Cutoff& kept, const Weigh& weigh, const WantedOf& wanted_of) {
    clear();  // 1.
    row_.visit([&](float highest) { return highest >= kept.value; },
               [&](uint32_t id, float v) {
                 if (kept.keeps(v, id)) add(bin_of(v), weigh(v));
               });
    const Found found = locate(wanted_of);  // 2.
    total_ = found.total;
    if (found.wanted > found.total) return kept;
    const uint32_t bin = plan_.bin;
    Mass missing = found.wanted - plan_.above, here = plan_.here;

    uint32_t lowest = kEveryId, largest = 0;  // 3. keys
    row_.visit([&](float highest) { return highest >= kept.value && bin_of(highest) <= bin; },
               [&](uint32_t id, float v) {
                 if (!kept.keeps(v, id) || bin_of(v) != bin) return;
                 lowest = SmallerOf{}(lowest, order_key(v));
                 largest = LargerOf{}(largest, order_key(v));
               });
    lowest = reduce_block(lowest, kEveryId, plan_.keys, SmallerOf{});
    largest = reduce_block(largest, 0u, plan_.keys, LargerOf{});
    while (lowest < largest) {
      const int shift = shift_of(largest - lowest);
      const float floor = value_of_key(lowest);
      clear();
      row_.visit([&](float highest) { return highest >= floor; },
                 [&](uint32_t id, float v) {
                   const uint32_t key = order_key(v);
                   if (kept.keeps(v, id) && key >= lowest && key <= largest)
                     add((largest - key) >> shift, weigh(v));
                 });
      locate([&](Mass) { return missing; });
      missing -= plan_.above, here = plan_.here;
      largest -= plan_.bin << shift;
      lowest = LargerOf{}(lowest, largest - SmallerOf{}(largest, (1u << shift) - 1));
    }
    const float value = value_of_key(lowest);
    const Mass each = weigh(value), count = (missing + each - 1) / each;
    if (count * each >= here) return {value, value == kept.value ? kept.end : kEveryId};
    return {value, end_of_equal(value, count)};
  }

  /// The id after the n-th of the tokens with this logit; there are that many.
  WARPLOOP_DEVICE uint32_t end_of_equal(float value, Mass n) {  // 4.
    uint32_t first = 0, last = row_.V - 1;
    while (first < last) {
      const int shift = shift_of(last - first);
      clear();
      row_.visit([&](float highest) { return highest >= value; },
                 [&](uint32_t id, float v) {
                   if (v == value && id >= first && id <= last) add((id - first) >> shift, 1);
                 });
      locate([&](Mass) { return n; });
      n -= plan_.above;
      first += plan_.bin << shift;
      last = SmallerOf{}(last, first + ((1u << shift) - 1));
    }
    return first + 1;
  }

  /// Weight of all that the last call of `shorten` was given.
  WARPLOOP_DEVICE Mass total() const { return total_; }

 private:
  static constexpr uint32_t kBins = CutoffPlan::kBins;

  WARPLOOP_DEVICE uint32_t bin_of(float v) const {
    return static_cast<uint32_t>(fminf((row_.highest - v) * bins_per_unit_, static_cast<float>(kBins - 1)));
  }
  /// So that a range of `span` + 1 integers fills at most kBins bins.
  WARPLOOP_DEVICE static int shift_of(uint32_t span) {
    const int digits = static_cast<int>(std::bit_width(span));
    return digits > CutoffPlan::kDigits ? digits - CutoffPlan::kDigits : 0;
  }

  WARPLOOP_DEVICE void clear() {
    for (uint32_t i = threadIdx.x; i < kBins; i += blockDim.x) plan_.low[i] = plan_.high[i] = 0;
    sync_block();
  }
  WARPLOOP_DEVICE void add(uint32_t bin, Mass mass) {
    const uint32_t low = static_cast<uint32_t>(mass);
    const uint32_t carry = low > ~atomic_add(&plan_.low[bin], low);
    const uint32_t high = static_cast<uint32_t>(mass >> 32) + carry;
    if (high != 0) atomic_add(&plan_.high[bin], high);
  }
  WARPLOOP_DEVICE Mass mass_of(uint32_t bin) const {
    return static_cast<Mass>(plan_.high[bin]) << 32 | plan_.low[bin];
  }

  struct Found {
    Mass wanted, total;
  };
  /// Finds the bin in which the mass, summed from bin 0 on, reaches wanted_of(mass of all bins), if there is
  /// as much.
  template <class WantedOf>
  WARPLOOP_DEVICE Found locate(const WantedOf& wanted_of) {
    sync_block();
    const uint32_t count = kBins / blockDim.x, first = threadIdx.x * count;
    Mass own = 0;
    for (uint32_t i = 0; i < count; i++) own += mass_of(first + i);
    Mass total = 0, sum = sum_threads_before(own, plan_.masses, total);
    const Mass wanted = wanted_of(total);
    if (sum < wanted && wanted <= sum + own) {  // at most one thread
      uint32_t bin = first;
      for (; sum + mass_of(bin) < wanted; bin++) sum += mass_of(bin);
      plan_.bin = bin, plan_.above = sum, plan_.here = mass_of(bin);
    }
    sync_block();
    return {wanted, total};
  }

  const LogitRow& row_;
  float bins_per_unit_;
  CutoffPlan& plan_;
  Mass total_ = 0;
};

}  // namespace warploop::cuda
