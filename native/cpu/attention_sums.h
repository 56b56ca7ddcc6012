// The sums of attention over a part of a row's keys: how two parts become one, and whether they are finite.
#pragma once
#include <algorithm>
#include <cmath>

#include "cpu/attention_tile.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Softmax-weighted sums of one row over some keys, relative to the maximum of its scores.
struct AttentionPart {
  float* out;  // [Dv]
  float* max;  // base 2
  float* sum;
};
inline int64_t part_floats(int64_t value_width) { return value_width + 16; }
inline AttentionPart part_at(float* parts, int64_t index, int64_t value_width) {
  float* at = parts + index * part_floats(value_width);
  return {at, at + value_width, at + value_width + 1};
}

/// total += part. Exact when one of them has seen nothing.
inline void merge(const AttentionPart& total, const AttentionPart& part, int64_t width) {
  const float max = std::max(*total.max, *part.max);
  const float base = max == -kInf ? 0 : max;
  vf changes{};
  changes[0] = *total.max - base;
  changes[1] = *part.max - base;
  changes = exp2_nonpositive(changes);
  const vf a = splat(changes[0]), b = splat(changes[1]);
  for (int64_t d = 0; d < width; d += kLanes) {
    store(total.out + d, fused_multiply_add(load(part.out + d), b, load(total.out + d) * a));
  }
  *total.sum = std::fma(*part.sum, changes[1], *total.sum * changes[0]);
  *total.max = max;
}

/// Adds the score of a sink, in base 2, which has no value, to the state of a row. Returns what the sums have
/// to be multiplied with.
inline float add_sink(const AttentionPart& total, float sink) {
  const float max = std::max(*total.max, sink), base = max == -kInf ? 0 : max;
  const float kept = std::exp2(*total.max - base);
  *total.sum = std::fma(*total.sum, kept, std::exp2(sink - base));
  *total.max = max;
  return kept;
}

/// Whether sums are finite, asked while they are stored: a pass of its own costs a short prompt 2 to 5 %.
class FiniteCheck {
 public:
  WARPLOOP_INLINE vf operator()(vf sums) {
    seen_ |= reinterpret_cast<vu>(sums * 0.0f);  // a zero of either sign, or NaN
    return sums;
  }
  bool passed() const { return reduce_add(reinterpret_cast<vf>(seen_)) == 0; }

 private:
  vu seen_{};
};

}  // namespace warploop::cpu::WARPLOOP_ISA
