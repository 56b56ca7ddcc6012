// What:      out[b] = index of the largest logits[b, v]; the lowest index wins a tie, NaN never wins
// Steps:     1. per lane: largest value and where it was first seen, whether any is NaN or +inf
//            2. across lanes: largest value, then lowest index
// Mapping:   rows are dealt to threads; one streaming pass, bound by memory
// Numerics:  exact: comparisons only, of values widened to f32. A row of NaN alone gives 0.
// Source:    the definition
#include "ops/argmax/argmax.h"

#include "cpu/rows.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// Nothing exceeds -inf: the first element that is not NaN, else 0.
template <class X>
int32_t first_number(const X* x, int64_t V) {
  for (int64_t v = 0; v < V; v++) {
    const float value = to_float(x[v]);
    if (value == value) return static_cast<int32_t>(v);
  }
  return 0;
}

template <class X>
int32_t argmax_row(const X* x, int64_t V, RowStatus& status) {
  vf best = splat(-kInf);
  vi best_at{}, at{}, odd{};
  for (int i = 0; i < kLanes; i++) at[i] = i;
  for_lanes(V, [&](int64_t v, int n) {  // 1. strictly greater keeps the earlier index, and is false for NaN
    const vf value = load_some(x + v, n, -kInf);
    const vi better = value > best;
    best = better ? value : best;
    best_at = better ? at : best_at;
    odd |= ~(value < splat(kInf));
    at += kLanes;
  });
  const float highest = reduce_max(best);
  status = any(odd) ? RowStatus::not_finite : highest == -kInf ? RowStatus::no_choice : RowStatus::ok;
  if (highest == -kInf) return first_number(x, V);
  int32_t index = std::numeric_limits<int32_t>::max();
  for (int i = 0; i < kLanes; i++) {  // 2.
    if (best[i] == highest) index = std::min(index, best_at[i]);
  }
  return index;
}

}  // namespace

void argmax(const ArgmaxParams& p, CpuContext& context) {
  const int64_t B = p.logits.size(0), V = p.logits.size(1);
  dispatch_float(p.logits.dtype, [&]<class X>(X) {
    for_rows(context, B, V, [&](int64_t b) {
      RowStatus status;
      p.out.as<int32_t>()[b] = argmax_row(row_at<X>(p.logits, b), V, status);
      if (p.status) p.status.as<RowStatus>()[b] = status;
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
