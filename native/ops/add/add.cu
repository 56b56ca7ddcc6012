// What:      out = a + b, elementwise
// Mapping:   cuda/device/map.cuh
// Resources: no shared memory
// Cost:      bytes of a, b and out, each moved once; bound by memory
// Numerics:  one f32 addition, rounded once more if a is narrower
// Source:    the definition
#include "ops/add/add.h"

#include "cuda/device/map.cuh"

namespace warploop::cuda {

namespace {

struct Add {
  static constexpr int kInputs = 2;
  WARPLOOP_DEVICE float operator()(float a, float b) const { return a + b; }
};

}  // namespace

void add(const AddParams& p, CudaContext& context) { map<Add>(context, p.out, p.a, p.b); }

}  // namespace warploop::cuda
