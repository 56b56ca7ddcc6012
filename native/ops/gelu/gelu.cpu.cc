// What:      out = gelu(x), elementwise: the erf formula or its tanh approximation (cpu/activations.h)
// Mapping:   contiguous elements are dealt to threads in pieces
// Numerics:  f32 throughout
// Source:    Hendrycks, Gimpel: Gaussian Error Linear Units, arXiv 1606.08415, section 2
#include "ops/gelu/gelu.h"

#include "cpu/activations.h"
#include "cpu/spans.h"

namespace warploop::cpu::WARPLOOP_ISA {

void gelu(const GeluParams& p, CpuContext& context) {
  TensorView x = p.x, out = p.out;
  merge_contiguous_axes(x, out);
  const bool tanh = p.approximate == kGeluTanh;
  dispatch_float(x.dtype, [&]<class X>(X) {
    dispatch_float(out.dtype, [&]<class O>(O) {
      for_spans(context, out, kActivationWeight, [&](int64_t row, int64_t begin, int64_t count) {
        const X* from = row_at<X>(x, row) + begin;
        O* to = row_at<O>(out, row) + begin;
        for_lanes(count, [&](int64_t i, int n) {
          const vf v = load_some(from + i, n);
          store_some(to + i, tanh ? gelu_tanh(v) : gelu_erf(v), n);
        });
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
