// What:      out = min(max(x, -limit), limit), elementwise; NaN stays NaN
// Mapping:   cuda/device/map.cuh
// Resources: no shared memory
// Cost:      bytes of x and out, each moved once; bound by memory
// Numerics:  exact but for the rounding to the dtype of out
// Source:    the definition
#include "ops/clamp/clamp.h"

#include "cuda/device/map.cuh"

namespace warploop::cuda {

namespace {

struct Clamp {
  static constexpr int kInputs = 1;
  float limit;
  WARPLOOP_DEVICE float operator()(float x) const { return x > limit ? limit : x < -limit ? -limit : x; }
};

}  // namespace

void clamp(const ClampParams& p, CudaContext& context) { map(context, Clamp{p.limit}, p.out, p.x); }

}  // namespace warploop::cuda
