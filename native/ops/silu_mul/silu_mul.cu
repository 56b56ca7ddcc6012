// What:      out[t, f] = silu(x[t, f]) * x[t, F + f], silu(z) = z / (1 + e^-z); clamped as core/swiglu.h says
// Mapping:   cuda/device/map.cuh over two views of x
// Resources: no shared memory
// Cost:      bytes of x and out, each moved once; bound by memory
// Numerics:  f32 throughout
// Source:    Shazeer: GLU Variants Improve Transformer, arXiv 2002.05202, section 2
#include "ops/silu_mul/silu_mul.h"

#include "cuda/device/activations.cuh"
#include "cuda/device/map.cuh"

namespace warploop::cuda {

namespace {

struct SiluMul {
  static constexpr int kInputs = 2;
  WARPLOOP_DEVICE float operator()(float gate, float up) const { return silu(gate) * up; }
};

struct ClampedSiluMul {
  static constexpr int kInputs = 2;
  Swiglu function;
  WARPLOOP_DEVICE float operator()(float gate, float up) const { return clamped_swiglu(function, gate, up); }
};

}  // namespace

void silu_mul(const SiluMulParams& p, CudaContext& context) {
  const int64_t F = p.out.size(1);
  const TensorView gate = columns_of(p.x, 0, F), up = columns_of(p.x, F, F);
  p.clamped ? map(context, ClampedSiluMul{swiglu_of(p)}, p.out, gate, up)
            : map(context, SiluMul{}, p.out, gate, up);
}

}  // namespace warploop::cuda
