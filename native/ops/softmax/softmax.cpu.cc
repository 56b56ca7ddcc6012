// What:      out[t, j] = e_j / sum_i e_i,  e_j = exp(scale x[t, j] - m),  m = max_j scale x[t, j]
// Steps:     1. m   2. the sum   3. the quotients, and 0 in columns that a causal row does not see
// Mapping:   rows are dealt to threads; a row is read three times, from L1 or L2 after the first
// Numerics:  f32 throughout; out keeps e between 2 and 3 if it is f32, else e is computed twice and rounded
//            once. A row that sees nothing, or nothing but -inf, is 0; one that sees NaN or +inf is NaN where
//            it sees.
// Source:    the definition
#include "ops/softmax/softmax.h"

#include <algorithm>
#include <type_traits>

#include "cpu/rows.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// A row of D columns that sees the first `seen`. Lanes beyond them are -inf, which adds nothing.
template <class X, class O>
void softmax_row(const X* x, O* out, int64_t seen, int64_t D, float scale) {
  vf lanes = splat(-kInf);
  for_lanes(seen, [&](int64_t j, int n) { lanes = max(lanes, load_some(x + j, n, -kInf) * scale); });  // 1.
  const float highest = reduce_max(lanes);
  const float m = highest == -kInf ? 0 : highest;

  const auto exp_at = [&](int64_t j, int n) { return exp(load_some(x + j, n, -kInf) * scale - m); };
  constexpr bool kKeepsExp = std::is_same_v<O, float>;
  vf sums{};
  for_lanes(seen, [&](int64_t j, int n) {  // 2.
    const vf e = exp_at(j, n);
    sums += e;
    if constexpr (kKeepsExp) store_some(out + j, e, n);
  });
  const float sum = reduce_add(sums);
  const float inverse = sum == 0 ? 0 : 1 / sum;

  for_lanes(seen, [&](int64_t j, int n) {  // 3.
    const vf e = kKeepsExp ? load_some(out + j, n) : exp_at(j, n);
    store_some(out + j, e * inverse, n);
  });
  for_lanes(D - seen, [&](int64_t j, int n) { store_some(out + seen + j, vf{}, n); });
}

}  // namespace

void softmax(const SoftmaxParams& p, CpuContext& context) {
  const int64_t T = p.x.size(0), D = p.x.size(1);
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    dispatch_float(p.out.dtype, [&]<class O>(O) {
      for_rows(context, T, 4 * D, [&](int64_t t) {
        const int64_t seen = p.causal ? std::clamp<int64_t>(t + D - T + 1, 0, D) : D;
        softmax_row(row_at<X>(p.x, t), row_at<O>(p.out, t), seen, D, p.scale);
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
