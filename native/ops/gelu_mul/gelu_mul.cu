// What:      out[t, f] = gelu(x[t, f]) * x[t, F + f], with either formula of cuda/device/activations.cuh
// Mapping:   cuda/device/map.cuh over two views of x
// Resources: no shared memory
// Cost:      bytes of x and out, each moved once; bound by memory
// Numerics:  f32 throughout
// Source:    Shazeer: GLU Variants Improve Transformer, arXiv 2002.05202, section 2
#include "ops/gelu_mul/gelu_mul.h"

#include "cuda/device/activations.cuh"
#include "cuda/device/map.cuh"
#include "ops/gelu/gelu.h"

namespace warploop::cuda {

namespace {

struct GeluErfMul {
  static constexpr int kInputs = 2;
  WARPLOOP_DEVICE float operator()(float gate, float up) const { return gelu_erf(gate) * up; }
};
struct GeluTanhMul {
  static constexpr int kInputs = 2;
  WARPLOOP_DEVICE float operator()(float gate, float up) const { return gelu_tanh(gate) * up; }
};

}  // namespace

void gelu_mul(const GeluMulParams& p, CudaContext& context) {
  const int64_t F = p.out.size(1);
  const TensorView gate = columns_of(p.x, 0, F), up = columns_of(p.x, F, F);
  p.approximate == kGeluTanh ? map(context, GeluTanhMul{}, p.out, gate, up)
                             : map(context, GeluErfMul{}, p.out, gate, up);
}

}  // namespace warploop::cuda
