// What:      out[t, j] = e_j / sum_i e_i, e_j = exp(scale x[t, j] - m), m = max_j scale x[t, j]
// Steps:     1. load the row
//            2. m
//            3. the sum
//            4. the quotients, and 0 in columns that a causal row does not see
// Mapping:   a row per group of lanes (cuda/device/row_group.cuh); each lane keeps 16 elements, then their e,
//            in registers
// Resources: 128 bytes of shared memory for m and the sum; at most 64 registers, for blocks of 1024
// Cost:      bytes of x (a causal row: of what it sees) and out, each moved once; bound by memory
// Numerics:  f32 throughout. A row that sees nothing, or nothing but -inf, is 0; one that sees NaN or +inf is
//            NaN where it sees. The order of the sum depends on D and the alignment only, so a row's result
//            does not depend on T
// Limits:    the part of a row beyond 16384 elements (4096 where rows are misaligned) is read three times
// Source:    the definition
#include "ops/softmax/softmax.h"

#include "cuda/device/row_group.cuh"

namespace warploop::cuda {

namespace {

struct Softmax {
  Rows x, out;
  RowShape shape;
  RowSchedule schedule;
  float scale;
  bool causal;
};

template <int kVector>
__global__ void __launch_bounds__(kMaxGroupLanes, 1) softmax_kernel(const __grid_constant__ Softmax p) {
  wait_for_predecessors();
  constexpr int kCount = kKept<kVector>;
  RowGroupPlan& plan = shared_plan<RowGroupPlan>();
  const RowGroup group = row_group(p.schedule);
  const int64_t x_row = group.row * p.x.strides[2], out_row = group.row * p.out.strides[2];
  const int64_t T = p.shape.outer[2], D = p.shape.width;
  const int64_t seen = p.causal ? std::clamp<int64_t>(group.row + D - T + 1, 0, D) : D;

  const auto fetch = [&](int64_t vector) {
    const int64_t column = vector * kVector;
    return column < seen ? load_vector<kVector>(p.x, x_row + column) : uint4{};
  };
  /// scale x, and -inf, which adds nothing, in columns that are not seen.
  const auto score = [&](int64_t vector, uint4 fetched, float(&values)[kVector]) {
    widen(fetched, p.x.dtype, values);
#pragma unroll
    for (int j = 0; j < kVector; j++) {
      values[j] = vector * kVector + j < seen ? values[j] * p.scale : -INFINITY;
    }
  };
  const auto load = [&](int64_t vector, float(&values)[kVector]) { score(vector, fetch(vector), values); };

  uint4 kept[kCount] = {};
  float e[kCount][kVector] = {};
  for_kept<kCount>(group, [&](int i, int64_t vector) { kept[i] = fetch(vector); });  // 1.
  for_kept<kCount>(group, [&](int i, int64_t vector) { score(vector, kept[i], e[i]); });

  float highest = -INFINITY;
  for_row(group, e, load, [&](int64_t, float(&values)[kVector]) {
#pragma unroll
    for (int j = 0; j < kVector; j++) highest = fmaxf(highest, values[j]);
  });
  highest = max_group(highest, group, plan);  // 2.
  const float m = highest == -INFINITY ? 0.0f : highest;

  float sum = 0;
  for_row(group, e, load, [&](int64_t, float(&values)[kVector]) {
#pragma unroll
    for (int j = 0; j < kVector; j++) sum += values[j] = expf(values[j] - m);
  });
  sum = sum_group(sum, group, plan);  // 3.
  const float inverse = sum == 0 ? 0.0f : 1.0f / sum;

  const auto load_exp = [&](int64_t vector, float(&values)[kVector]) {
    load(vector, values);
#pragma unroll
    for (int j = 0; j < kVector; j++) values[j] = expf(values[j] - m);
  };
  for_row(group, e, load_exp, [&](int64_t vector, float(&values)[kVector]) {
#pragma unroll
    for (int j = 0; j < kVector; j++) values[j] = vector * kVector + j < seen ? values[j] * inverse : 0.0f;
    store_floats(p.out, out_row + vector * kVector, values);  // 4.
  });
}

}  // namespace

void softmax(const SoftmaxParams& p, CudaContext& context) {
  const RowShape shape = shape_of(p.x);
  dispatch_vector<8>(choose_vector(shape.width, p.x, p.out),
                     [&]<int kVector>(std::integral_constant<int, kVector>) {
                       const RowSchedule schedule = row_schedule<kVector>(shape);
                       const Softmax params{rows_of(p.x), rows_of(p.out), shape, schedule, p.scale, p.causal};
                       launch<softmax_kernel<kVector>>(context, launch_shape(schedule), params);
                     });
}

}  // namespace warploop::cuda
