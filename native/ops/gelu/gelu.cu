// What:      out = gelu(x), elementwise: the erf formula or its tanh approximation
//            (cuda/device/activations.cuh)
// Mapping:   cuda/device/map.cuh
// Resources: no shared memory
// Cost:      bytes of x and out, each moved once; bound by memory, with bf16 and the erf formula nearly by
//            arithmetic
// Numerics:  f32 throughout
// Source:    Hendrycks, Gimpel: Gaussian Error Linear Units, arXiv 1606.08415, section 2
#include "ops/gelu/gelu.h"

#include "cuda/device/activations.cuh"
#include "cuda/device/map.cuh"

namespace warploop::cuda {

namespace {

struct GeluErf {
  static constexpr int kInputs = 1;
  WARPLOOP_DEVICE float operator()(float x) const { return gelu_erf(x); }
};
struct GeluTanh {
  static constexpr int kInputs = 1;
  WARPLOOP_DEVICE float operator()(float x) const { return gelu_tanh(x); }
};

}  // namespace

void gelu(const GeluParams& p, CudaContext& context) {
  p.approximate == kGeluTanh ? map(context, GeluTanh{}, p.out, p.x) : map(context, GeluErf{}, p.out, p.x);
}

}  // namespace warploop::cuda
