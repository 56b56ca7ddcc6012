// What:      out = (x - mean) / sqrt(variance + eps) * weight + bias, with the biased variance
// Steps:     1. mean
//            2. squares and sum of the deviations; what the sum leaves over corrects the mean
//            3. scale
// Mapping:   rows are dealt to threads; a row (D floats) stays in L1 between the passes
// Numerics:  f32 throughout. The corrected two-pass formula keeps rows whose mean is far larger than their
//            deviation exact. The order of the sums depends on D only, so a row's result does not depend on T
// Source:    Ba, Kiros, Hinton: Layer Normalization, arXiv 1607.06450, eq. 4; for 2. Chan, Golub, LeVeque:
//            Algorithms for Computing the Sample Variance, The American Statistician 37 (1983), eq. 1.7
#include "ops/layer_norm/layer_norm.h"

#include "cpu/rows.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

template <class X, class O>
void norm_row(const X* x, const float* weight, const float* bias, O* out, int64_t D, float eps) {
  vf sums{};
  for_lanes(D, [&](int64_t i, int n) { sums += load_some(x + i, n); });
  const float rough = reduce_add(sums) / static_cast<float>(D);  // 1.

  vf squares{}, rests{};
  for_lanes(D, [&](int64_t i, int n) {
    const vf d = load_some(x + i, n, rough) - rough;  // lanes beyond the row deviate by 0
    rests += d;
    squares += d * d;
  });
  const float rest = reduce_add(rests) / static_cast<float>(D);  // 2.
  const float variance = reduce_add(squares) / static_cast<float>(D) - rest * rest;
  const float scale = 1.0f / std::sqrt((variance > 0 ? variance : 0) + eps);

  for_lanes(D, [&](int64_t i, int n) {
    const vf normal = (load_some(x + i, n) - rough - rest) * scale * load_some(weight + i, n);  // 3.
    store_some(out + i, bias ? normal + load_some(bias + i, n) : normal, n);
  });
}

}  // namespace

void layer_norm(const LayerNormParams& p, CpuContext& context) {
  const int64_t D = p.x.size(-1);
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    dispatch_float(p.out.dtype, [&]<class O>(O) {
      for_rows(context, rows_of(p.x), D, [&](int64_t row) {
        norm_row(row_at<X>(p.x, row), p.weight.as<float>(), p.bias.as<float>(), row_at<O>(p.out, row), D,
                 p.eps);
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
