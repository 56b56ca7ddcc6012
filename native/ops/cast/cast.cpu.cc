// What:      out = x in the dtype of out
// Mapping:   contiguous elements are dealt to threads in pieces
// Numerics:  to nearest, ties to even; overflow becomes infinity; equal dtypes keep every bit; bf16 results
//            below the normal range may be flushed to zero
// Source:    IEEE 754-2019, section 4.3.1 (roundTiesToEven)
#include "ops/cast/cast.h"

#include "cpu/spans.h"

namespace warploop::cpu::WARPLOOP_ISA {

void cast(const CastParams& p, CpuContext& context) {
  TensorView x = p.x, out = p.out;
  merge_contiguous_axes(x, out);
  dispatch_float(x.dtype, [&]<class X>(X) {
    dispatch_float(out.dtype, [&]<class O>(O) {
      for_spans(context, out, 1, [&](int64_t row, int64_t begin, int64_t count) {
        convert(row_at<X>(x, row) + begin, row_at<O>(out, row) + begin, count);
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
