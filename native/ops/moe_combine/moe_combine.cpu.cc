// What:      out[t] = residual[t] + sum over k of weights[t, k] * y[inverse[t, k]]
//            with offsets over those k alone whose row is in their range
// Steps:     1. check the K rows of the token   2. residual   3. add the experts, k ascending
// Mapping:   tokens are dealt to threads; the sum of one vector of columns stays in a register over all K
// Numerics:  f32, in the order of k whatever the batch
// Source:    Shazeer et al., arXiv 1701.06538, equation 1
#include "ops/moe_combine/moe_combine.h"

#include "core/error.h"
#include "cpu/rows.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

void moe_combine(const MoeCombineParams& p, CpuContext& context) {
  const int64_t M = p.y.size(0), D = p.y.size(1), T = p.inverse.size(0), K = p.inverse.size(1);
  const int32_t* offsets = p.offsets ? p.offsets.as<int32_t>() : nullptr;
  const int64_t first = offsets ? offsets[0] : 0, last = offsets ? offsets[p.offsets.size(0) - 1] : M;
  dispatch_float(p.y.dtype, [&]<class Y>(Y) {
    dispatch_float(p.out.dtype, [&]<class O>(O) {
      for_rows(context, T, D * (K + 1), [&](int64_t t) {
        const int32_t* inverse = p.inverse.as<int32_t>() + t * K;
        const float* weights = p.weights.as<float>() + t * K;
        for (int64_t k = 0; k < K; k++) {  // 1.
          if (inverse[k] < 0 || inverse[k] >= M) {
            fail_execution("inverse[", t, ", ", k, "] = ", inverse[k], " is outside [0, T*K=", M, ")");
          }
        }
        const Y* y = p.y.as<Y>();
        const int64_t stride = p.y.stride(0);
        const float* residual = p.residual ? row_at<float>(p.residual, t) : nullptr;
        O* out = row_at<O>(p.out, t);
        for_lanes(D, [&](int64_t d, int n) {
          vf sum = residual ? load_some(residual + d, n) : vf{};  // 2.
          for (int64_t k = 0; k < K; k++) {                       // 3.
            if (inverse[k] < first || inverse[k] >= last) continue;
            sum += weights[k] * load_some(y + inverse[k] * stride + d, n);
          }
          store_some(out + d, sum, n);
        });
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
