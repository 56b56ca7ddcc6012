// What:      out = cap tanh(x / cap), elementwise
// Mapping:   cuda/device/map.cuh
// Resources: no shared memory
// Cost:      bytes of x and out, each moved once; bound by memory
// Numerics:  f32 throughout; small results keep their digits
// Source:    Gemma 2, arXiv 2408.00118, section 2
#include "ops/softcap/softcap.h"

#include <cmath>

#include "cuda/device/map.cuh"

namespace warploop::cuda {

namespace {

struct Softcap {
  static constexpr int kInputs = 1;
  float cap;
  WARPLOOP_DEVICE float operator()(float x) const { return cap * tanhf(x / cap); }
};

}  // namespace

void softcap(const SoftcapParams& p, CudaContext& context) { map(context, Softcap{p.cap}, p.out, p.x); }

}  // namespace warploop::cuda
