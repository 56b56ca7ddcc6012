// What:      h = x (+ residual) (* silu(gate));  out = h / sqrt(mean(h^2) + eps) * (weight_offset + weight)
// Steps:     1. h = x + residual, written back to residual, times the gate   2. sum of squares   3. scale
// Mapping:   rows are dealt to threads; a row (D floats) stays in L1 between the two passes
// Numerics:  f32 throughout; the order of the sum depends on D only, so a row's result does not depend on T
// Source:    Zhang, Sennrich: Root Mean Square Layer Normalization, arXiv 1910.07467, eq. 4
#include "ops/rms_norm/rms_norm.h"

#include "cpu/head_rows.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

void rms_norm(const RmsNormParams& p, CpuContext& context) {
  const int64_t D = p.x.size(-1);
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    dispatch_float(p.out.dtype, [&]<class O>(O) {
      for_rows(context, rows_of(p.x), D, [&](int64_t row) {
        const float* weight = p.weight.as<float>() + (p.weight.rank == 2 ? row % p.weight.size(0) * D : 0);
        norm_row<X, O>(row_at<X>(p.x, row), weight, p.residual ? row_at<float>(p.residual, row) : nullptr,
                       p.gate ? row_at<X>(p.gate, row) : nullptr, row_at<O>(p.out, row), D, p.eps,
                       p.weight_offset);
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
