// What:      h = x (+ residual) (* silu(gate)); out = h / sqrt(mean(h^2) + eps) * (weight_offset + weight)
// Steps:     1. prefetch the weight
//            2. load the row and the residual
//            3. h = x + residual, written back to residual, times the gate
//            4. sum of squares
//            5. scale
// Mapping:   a row per group of lanes (cuda/device/row_group.cuh): D = 128 takes 8 lanes, 16 rows to a block;
//            D = 4096 takes a block of 256. Each lane keeps 16 elements of h in registers.
// Resources: 128 bytes of shared memory for the sum; at most 64 registers, for blocks of 1024; with a gate at
//            most 128, for 512
// Cost:      bytes of x, residual (read and written) and out, each moved once; bound by memory, at small T by
//            latency: the weight is on its way while the row is, and is loaded while the sum is formed
// Numerics:  f32 throughout; the order of the sum depends on D and the alignment only, so a row's result does
//            not depend on T
// Limits:    the part of a row beyond 16384 elements (4096 where rows are misaligned; half of it with a gate)
//            is read twice
// Source:    Zhang, Sennrich: Root Mean Square Layer Normalization, arXiv 1910.07467, eq. 4
#include "ops/rms_norm/rms_norm.h"

#include "cuda/device/activations.cuh"
#include "cuda/device/row_group.cuh"

namespace warploop::cuda {

namespace {

struct Norm {
  Rows x, weight, residual, gate, out;
  RowShape shape;
  RowSchedule schedule;
  float eps, weight_offset;
};

/// Of a row: with a gate a lane needs more than the 64 registers of a block of 1024.
template <bool kGated>
inline constexpr int kMaxLanes = kGated ? kMaxGroupLanes / 2 : kMaxGroupLanes;

template <int kVector>
WARPLOOP_DEVICE void apply_gate(const Norm& p, int64_t gate_at, float (&values)[kVector]) {
  float gate[kVector];
  load_floats(p.gate, gate_at, gate);
#pragma unroll
  for (int j = 0; j < kVector; j++) values[j] *= silu(gate[j]);
}

/// h of a vector, from x and what there is of the residual, which becomes the sum of both.
template <bool kGated, int kVector>
WARPLOOP_DEVICE void add_and_gate(const Norm& p, uint4 x, int64_t residual_at, int64_t gate_at,
                                  float (&h)[kVector]) {
  float values[kVector];
  widen(x, p.x.dtype, values);
#pragma unroll
  for (int j = 0; j < kVector; j++) h[j] += values[j];
  if (p.residual) store_floats(p.residual, residual_at, h);
  if constexpr (kGated) apply_gate(p, gate_at, h);
}

template <int kVector, bool kGated>
__global__ void __launch_bounds__(kMaxLanes<kGated>) rms_norm_kernel(const __grid_constant__ Norm p) {
  constexpr int kCount = kKept<kVector>;
  RowGroupPlan& plan = shared_plan<RowGroupPlan>();
  const RowGroup group = row_group(p.schedule);
  const RowPlace place = place_of(p.shape, group.row);
  const int64_t x_row = offset_of(p.x, place), residual_row = offset_of(p.residual, place);
  const int64_t gate_row = offset_of(p.gate, place), out_row = offset_of(p.out, place);
  Rows weights = p.weight;  // of this row
  weights.data += offset_of(p.weight, place) * float_bytes(DType::f32);

  prefetch_kept<kVector, kCount>(group, weights);  // 1.
  wait_for_predecessors();
  uint4 x[kCount] = {};
  float h[kCount][kVector] = {};
  for_kept<kCount>(group, [&](int i, int64_t vector) {  // 2.
    x[i] = load_vector<kVector>(p.x, x_row + vector * kVector);
    if (p.residual) load_f32(p.residual, residual_row + vector * kVector, h[i]);
  });

  float squares = 0;
  const auto add = [&](int64_t vector, uint4 x_vector, float(&sum)[kVector]) {
    // 3.
    add_and_gate<kGated>(p, x_vector, residual_row + vector * kVector, gate_row + vector * kVector, sum);
#pragma unroll
    for (int j = 0; j < kVector; j++) squares += sum[j] * sum[j];  // 4.
  };
  for_kept<kCount>(group, [&](int i, int64_t vector) { add(vector, x[i], h[i]); });
  for_rest<kCount>(group, [&](int64_t vector) {
    float sum[kVector] = {};
    if (p.residual) load_f32(p.residual, residual_row + vector * kVector, sum);
    add(vector, load_vector<kVector>(p.x, x_row + vector * kVector), sum);
  });
  float weight[kCount][kVector] = {};
  for_kept<kCount>(group, [&](int i, int64_t vector) { load_f32(weights, vector * kVector, weight[i]); });
  const float mean = sum_group(squares, group, plan) / static_cast<float>(p.shape.width);
  const float scale = 1.0f / sqrtf(mean + p.eps);

  const auto store = [&](int64_t vector, const float(&values)[kVector],
                         const float(&factors)[kVector]) {  // 5.
    float results[kVector];
#pragma unroll
    for (int j = 0; j < kVector; j++) results[j] = values[j] * scale * (factors[j] + p.weight_offset);
    store_floats(p.out, out_row + vector * kVector, results);
  };
  for_kept<kCount>(group, [&](int i, int64_t vector) { store(vector, h[i], weight[i]); });
  for_rest<kCount>(group, [&](int64_t vector) {
    float values[kVector], factors[kVector];
    if (p.residual) {
      load_f32(p.residual, residual_row + vector * kVector, values);
    } else {
      load_floats(p.x, x_row + vector * kVector, values);
    }
    if constexpr (kGated) apply_gate(p, gate_row + vector * kVector, values);
    load_f32(weights, vector * kVector, factors);
    store(vector, values, factors);
  });
}

}  // namespace

void rms_norm(const RmsNormParams& p, CudaContext& context) {
  TensorView x = p.x, residual = p.residual, gate = p.gate, out = p.out;
  TensorView weight = p.x;  // as if each row had one
  weight.data = p.weight.data;
  weight.dtype = DType::f32;
  for (int axis = 0; axis + 1 < x.rank; axis++) weight.strides[axis] = 0;
  if (p.weight.rank == 2) weight.strides[1] = p.weight.stride(0);
  merge_outer_axes(x, residual, gate, weight, out);
  const RowShape shape = shape_of(x);
  const int vector = choose_vector(shape.width, x, weight, residual, gate, out);
  const auto run = [&]<int kVector, bool kGated>() {
    const RowSchedule schedule = row_schedule<kVector>(shape, kMaxLanes<kGated>);
    const Norm params{rows_of(x), rows_of(weight), rows_of(residual), rows_of(gate), rows_of(out), shape,
                      schedule,   p.eps,           p.weight_offset};
    launch<rms_norm_kernel<kVector, kGated>>(context, launch_shape(schedule), params);
  };
  dispatch_vector<4>(vector, [&]<int kVector>(std::integral_constant<int, kVector>) {
    p.gate ? run.template operator()<kVector, true>() : run.template operator()<kVector, false>();
  });
}

}  // namespace warploop::cuda
