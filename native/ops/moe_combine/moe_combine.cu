// What:      out[t] = residual[t] + sum over k of weights[t, k] * y[inverse[t, k]]
//            with offsets over those k alone whose row is in their range
// Steps:     1. residual
//            2. add the experts, k ascending; a row that does not exist is reported and left out
// Mapping:   a thread owns a vector of columns (16 bytes of the widest tensor) of one token;
//            grid = vectors / 256
// Resources: no shared memory
// Cost:      y, residual and out are moved once; of y, the 16-byte loads of four experts are under way
//            together; bound by memory
// Numerics:  f32, in the order of k whatever the batch
// Limits:    none beyond check
// Source:    Shazeer et al., arXiv 1701.06538, equation 1
#include "ops/moe_combine/moe_combine.h"

#include "cuda/device/fault.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

struct CombineArguments {
  Rows y, residual, out;
  const int32_t* inverse;
  const float* weights;
  const int32_t* offsets;  // [groups + 1] or null
  int64_t M, K;            // rows of y, experts per token
  int64_t groups;
  VectorGrid grid;
  FaultSite fault;
};

template <int kVector>
__global__ void __launch_bounds__(kVectorThreads, 4)
    moe_combine_kernel(const __grid_constant__ CombineArguments p) {
  wait_for_predecessors();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kVectorThreads + threadIdx.x;
  if (index >= p.grid.total) return;
  const int64_t t = index / p.grid.shape.width, column = index % p.grid.shape.width * kVector;
  constexpr int kRow = kOuterAxes - 1;
  float sum[kVector] = {};
  if (p.residual) load_floats(p.residual, t * p.residual.strides[kRow] + column, sum);  // 1.

  const int64_t first = p.offsets ? p.offsets[0] : 0, last = p.offsets ? p.offsets[p.groups] : p.M;
  constexpr int kTogether = 4;
  for (int64_t begin = 0; begin < p.K; begin += kTogether) {  // 2.
    uint4 vectors[kTogether];
    float weights[kTogether];
    bool exists[kTogether];
#pragma unroll
    for (int i = 0; i < kTogether; i++) {
      const int64_t k = begin + i, row = k < p.K ? p.inverse[t * p.K + k] : -1;
      const bool is_row = row >= 0 && row < p.M;
      if (k < p.K && !is_row) raise_fault(p.fault, row, p.M, t, k);
      exists[i] = is_row && row >= first && row < last;
      weights[i] = exists[i] ? p.weights[t * p.K + k] : 0.0f;
      vectors[i] = {0, 0, 0, 0};
      if (exists[i]) vectors[i] = load_vector<kVector>(p.y, row * p.y.strides[kRow] + column);
    }
#pragma unroll
    for (int i = 0; i < kTogether; i++) {
      float values[kVector];
      widen(vectors[i], p.y.dtype, values);
      if (!exists[i]) continue;
#pragma unroll
      for (int j = 0; j < kVector; j++) sum[j] += weights[i] * values[j];
    }
  }
  store_floats(p.out, t * p.out.strides[kRow] + column, sum);
}

}  // namespace

void moe_combine(const MoeCombineParams& p, CudaContext& context) {
  const int64_t D = p.y.size(1);
  dispatch_vector<8>(
      choose_vector(D, p.y, p.residual, p.out), [&]<int kVector>(std::integral_constant<int, kVector>) {
        const CombineArguments arguments{
            .y = rows_of(p.y),
            .residual = rows_of(p.residual),
            .out = rows_of(p.out),
            .inverse = p.inverse.as<int32_t>(),
            .weights = p.weights.as<float>(),
            .offsets = p.offsets ? p.offsets.as<int32_t>() : nullptr,
            .M = p.y.size(0),
            .K = p.inverse.size(1),
            .groups = p.offsets ? p.offsets.size(0) - 1 : 0,
            .grid = vector_grid(shape_of(p.out), kVector),
            .fault = context.fault_site(OpId::moe_combine,
                                        "inverse[{index}, {column}] = {value} is outside [0, T*K={limit})")};
        launch<moe_combine_kernel<kVector>>(context, launch_shape<1>(arguments.grid.total), arguments);
      });
}

}  // namespace warploop::cuda
