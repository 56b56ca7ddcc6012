// What:      out = a + scale * b, elementwise
// Mapping:   contiguous elements are dealt to threads in pieces
// Numerics:  f32, rounded once more if a is narrower; with a scale of 1 one addition
// Source:    the definition
#include "ops/add/add.h"

#include "cpu/spans.h"

namespace warploop::cpu::WARPLOOP_ISA {

void add(const AddParams& p, CpuContext& context) {
  TensorView a = p.a, b = p.b, out = p.out;
  merge_contiguous_axes(a, b, out);
  dispatch_float(a.dtype, [&]<class A>(A) {
    dispatch_float(b.dtype, [&]<class B>(B) {
      for_spans(context, out, 1, [&](int64_t row, int64_t begin, int64_t count) {
        const A* left = row_at<A>(a, row) + begin;
        const B* right = row_at<B>(b, row) + begin;
        A* sum = row_at<A>(out, row) + begin;
        for_lanes(count, [&](int64_t i, int n) {
          store_some(sum + i, load_some(left + i, n) + p.scale * load_some(right + i, n), n);
        });
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
