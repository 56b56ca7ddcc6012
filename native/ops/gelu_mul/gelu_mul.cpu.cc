// What:      out[t, f] = gelu(x[t, f]) * x[t, F + f], with either formula of cpu/activations.h
// Mapping:   pieces of rows are dealt to threads
// Numerics:  f32 throughout
// Source:    Shazeer: GLU Variants Improve Transformer, arXiv 2002.05202, section 2
#include "ops/gelu_mul/gelu_mul.h"

#include "cpu/activations.h"
#include "cpu/spans.h"
#include "ops/gelu/gelu.h"

namespace warploop::cpu::WARPLOOP_ISA {

void gelu_mul(const GeluMulParams& p, CpuContext& context) {
  const int64_t F = p.out.size(1);
  const bool tanh = p.approximate == kGeluTanh;
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    dispatch_float(p.out.dtype, [&]<class O>(O) {
      for_spans(context, p.out, kActivationWeight, [&](int64_t row, int64_t begin, int64_t count) {
        const X* gate = row_at<X>(p.x, row) + begin;
        const X* up = gate + F;
        O* out = row_at<O>(p.out, row) + begin;
        for_lanes(count, [&](int64_t i, int n) {
          const vf v = load_some(gate + i, n);
          store_some(out + i, (tanh ? gelu_tanh(v) : gelu_erf(v)) * load_some(up + i, n), n);
        });
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
