// What:      out = cap tanh(x / cap), elementwise
// Mapping:   contiguous elements are dealt to threads in pieces
// Numerics:  f32 throughout; small results keep their digits
// Source:    Gemma 2, arXiv 2408.00118, section 2
#include "ops/softcap/softcap.h"

#include "cpu/activations.h"
#include "cpu/spans.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// Relative error 8e-7. Where tanh() would cancel, |u| < 1/4, its series up to u^9, whose next term is below
/// 1e-8 of it.
WARPLOOP_INLINE vf tanh_keeping_digits(vf u) {
  const vf q = u * u;
  vf p = splat(62.0f / 2835);
  p = p * q - 17.0f / 315;
  p = p * q + 2.0f / 15;
  p = p * q - 1.0f / 3;
  p = p * q + 1.0f;
  return q < 0.0625f ? u * p : tanh(u);
}

}  // namespace

void softcap(const SoftcapParams& p, CpuContext& context) {
  TensorView x = p.x, out = p.out;
  merge_contiguous_axes(x, out);
  const float cap = p.cap;
  dispatch_float(x.dtype, [&]<class X>(X) {
    dispatch_float(out.dtype, [&]<class O>(O) {
      for_spans(context, out, kActivationWeight, [&](int64_t row, int64_t begin, int64_t count) {
        const X* from = row_at<X>(x, row) + begin;
        O* to = row_at<O>(out, row) + begin;
        for_lanes(count, [&](int64_t i, int n) {
          store_some(to + i, cap * tanh_keeping_digits(load_some(from + i, n) / cap), n);
        });
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
