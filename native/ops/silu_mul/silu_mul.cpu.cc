// What:      out[t, f] = silu(x[t, f]) * x[t, F + f], silu(z) = z / (1 + e^-z); clamped as core/swiglu.h says
// Mapping:   pieces of rows are dealt to threads
// Numerics:  f32 throughout; 0 for gates below about -88
// Source:    Shazeer: GLU Variants Improve Transformer, arXiv 2002.05202, section 2
#include "ops/silu_mul/silu_mul.h"

#include "cpu/activations.h"
#include "cpu/spans.h"

namespace warploop::cpu::WARPLOOP_ISA {

void silu_mul(const SiluMulParams& p, CpuContext& context) {
  const int64_t F = p.out.size(1);
  const Swiglu function = swiglu_of(p);
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    dispatch_float(p.out.dtype, [&]<class O>(O) {
      for_spans(context, p.out, kActivationWeight, [&](int64_t row, int64_t begin, int64_t count) {
        const X* gate = row_at<X>(p.x, row) + begin;
        const X* up = gate + F;
        O* out = row_at<O>(p.out, row) + begin;
        for_lanes(count, [&](int64_t i, int n) {
          store_some(out + i, swiglu(function, load_some(gate + i, n), load_some(up + i, n)), n);
        });
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
