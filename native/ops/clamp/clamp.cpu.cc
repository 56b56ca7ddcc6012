// What:      out = min(max(x, -limit), limit), elementwise; NaN stays NaN
// Mapping:   contiguous elements are dealt to threads in pieces
// Source:    the definition
#include "ops/clamp/clamp.h"

#include "cpu/spans.h"

namespace warploop::cpu::WARPLOOP_ISA {

void clamp(const ClampParams& p, CpuContext& context) {
  TensorView x = p.x, out = p.out;
  merge_contiguous_axes(x, out);
  const vf high = splat(p.limit), low = splat(-p.limit);
  dispatch_float(x.dtype, [&]<class X>(X) {
    dispatch_float(out.dtype, [&]<class O>(O) {
      for_spans(context, out, 1, [&](int64_t row, int64_t begin, int64_t count) {
        const X* from = row_at<X>(x, row) + begin;
        O* to = row_at<O>(out, row) + begin;
        for_lanes(count, [&](int64_t i, int n) {
          const vf v = load_some(from + i, n);
          store_some(to + i, v > high ? high : v < low ? low : v, n);
        });
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
