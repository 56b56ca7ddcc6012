// What:      out = x in the dtype of out
// Mapping:   cuda/device/map.cuh
// Resources: no shared memory
// Cost:      bytes of x and out, each moved once; bound by memory
// Numerics:  to nearest, ties to even; overflow becomes infinity; equal dtypes keep every bit
// Source:    IEEE 754-2019, section 4.3.1 (roundTiesToEven)
#include "ops/cast/cast.h"

#include "cuda/device/map.cuh"
#include "ops/copy/copy.h"

namespace warploop::cuda {

namespace {

struct Convert {
  static constexpr int kInputs = 1;
  WARPLOOP_DEVICE float operator()(float x) const { return x; }
};

}  // namespace

void copy(const CopyParams& p, CudaContext& context);  // ops/copy/copy.cu; src may be dst there

void cast(const CastParams& p, CudaContext& context) {
  p.x.dtype == p.out.dtype ? copy({p.x, p.out}, context) : map(context, Convert{}, p.out, p.x);
}

}  // namespace warploop::cuda
