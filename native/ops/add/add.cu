// What:      out = a + scale * b, elementwise
// Mapping:   cuda/device/map.cuh
// Resources: no shared memory
// Cost:      bytes of a, b and out, each moved once; bound by memory
// Numerics:  one fused multiply-add in f32, rounded once more if a is narrower
// Source:    the definition
#include "ops/add/add.h"

#include "cuda/device/map.cuh"

namespace warploop::cuda {

namespace {

struct Add {
  static constexpr int kInputs = 2;
  float scale;
  WARPLOOP_DEVICE float operator()(float a, float b) const { return fmaf(scale, b, a); }
};

}  // namespace

void add(const AddParams& p, CudaContext& context) { map(context, Add{p.scale}, p.out, p.a, p.b); }

}  // namespace warploop::cuda
