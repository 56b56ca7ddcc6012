// What:      out = (x - mean) / sqrt(variance + eps) * weight + bias, with the biased variance
// Steps:     1. load the row, prefetch weight and bias
//            2. mean
//            3. squares and sum of the deviations; what the sum leaves over corrects the mean
//            4. scale
// Mapping:   a row per group of lanes (cuda/device/row_group.cuh): D = 768 takes a block of 64 lanes with 12
//            elements each, in registers
// Resources: 128 bytes of shared memory for the sums; at most 64 registers, for blocks of 1024
// Cost:      bytes of x and out, each moved once; bound by memory, at small T by latency
// Numerics:  f32 throughout. The corrected two-pass formula keeps rows whose mean is far larger than their
//            deviation exact. The order of the sums depends on D and the alignment only, so a row's result
//            does not depend on T
// Limits:    the part of a row beyond 16384 elements (4096 where rows are misaligned) is read three times
// Source:    Ba, Kiros, Hinton: Layer Normalization, arXiv 1607.06450, eq. 4; for 3. Chan, Golub, LeVeque:
//            Algorithms for Computing the Sample Variance, The American Statistician 37 (1983), eq. 1.7
#include "ops/layer_norm/layer_norm.h"

#include "cuda/device/row_group.cuh"

namespace warploop::cuda {

namespace {

struct Norm {
  Rows x, weight, bias, out;
  RowShape shape;
  RowSchedule schedule;
  float eps;
};

template <int kVector>
__global__ void __launch_bounds__(kMaxGroupLanes) layer_norm_kernel(const __grid_constant__ Norm p) {
  constexpr int kCount = kKept<kVector>;
  RowGroupPlan& plan = shared_plan<RowGroupPlan>();
  const RowGroup group = row_group(p.schedule);
  const RowPlace place = place_of(p.shape, group.row);
  const int64_t x_row = offset_of(p.x, place), out_row = offset_of(p.out, place);
  const float D = static_cast<float>(p.shape.width);

  prefetch_kept<kVector, kCount>(group, p.weight);
  if (p.bias) prefetch_kept<kVector, kCount>(group, p.bias);
  wait_for_predecessors();
  uint4 kept[kCount] = {};
  for_kept<kCount>(group, [&](int i, int64_t vector) {  // 1.
    kept[i] = load_vector<kVector>(p.x, x_row + vector * kVector);
  });
  float x[kCount][kVector] = {};
  for_kept<kCount>(group, [&](int i, int64_t) { widen(kept[i], p.x.dtype, x[i]); });

  const auto load = [&](int64_t vector, float(&values)[kVector]) {
    load_floats(p.x, x_row + vector * kVector, values);
  };

  float sum = 0;
  for_row(group, x, load, [&](int64_t, float(&values)[kVector]) {
#pragma unroll
    for (int j = 0; j < kVector; j++) sum += values[j];
  });
  const float rough = sum_group(sum, group, plan) / D;  // 2.

  float squares = 0, rests = 0;
  for_row(group, x, load, [&](int64_t, float(&values)[kVector]) {
#pragma unroll
    for (int j = 0; j < kVector; j++) {
      const float deviation = values[j] - rough;
      rests += deviation;
      squares += deviation * deviation;
    }
  });
  const float rest = sum_group(rests, group, plan) / D;  // 3.
  const float variance = sum_group(squares, group, plan) / D - rest * rest;
  const float scale = 1.0f / sqrtf(fmaxf(variance, 0.0f) + p.eps);

  for_row(group, x, load, [&](int64_t vector, float(&values)[kVector]) {
    float weights[kVector], biases[kVector] = {};
    load_f32(p.weight, vector * kVector, weights);
    if (p.bias) load_f32(p.bias, vector * kVector, biases);
#pragma unroll
    for (int j = 0; j < kVector; j++)
      values[j] = (values[j] - rough - rest) * scale * weights[j] + biases[j];  // 4.
    store_floats(p.out, out_row + vector * kVector, values);
  });
}

}  // namespace

void layer_norm(const LayerNormParams& p, CudaContext& context) {
  const RowShape shape = shape_of(p.x);
  const int vector = choose_vector(shape.width, p.x, p.weight, p.bias, p.out);
  dispatch_vector<4>(vector, [&]<int kVector>(std::integral_constant<int, kVector>) {
    const RowSchedule schedule = row_schedule<kVector>(shape);
    const Norm params{rows_of(p.x), rows_of(p.weight), rows_of(p.bias), rows_of(p.out), shape, schedule,
                      p.eps};
    launch<layer_norm_kernel<kVector>>(context, launch_shape(schedule), params);
  });
}

}  // namespace warploop::cuda
