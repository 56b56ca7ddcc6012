// Kernels that reduce every row (norms, softmax): the lanes of a group share a row and keep it in registers
// between the passes, 16 elements each. A narrow row takes a part of a warp, so that a block holds many rows;
// a wide one takes the whole block. What is left of rows beyond 1024 x 16 elements is read again in every
// pass.
//
// The schedule, and with it the order of every sum, depends on the width, the dtypes and the alignment only:
// the result of a row does not depend on how many rows there are.
#pragma once
#include <bit>

#include "cuda/device/block.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

inline constexpr int kMaxGroupLanes = 1024;

/// Vectors that a lane keeps.
template <int kVector>
inline constexpr int kKept = kVector == 1 ? 4 : 16 / kVector;

struct RowSchedule {
  int64_t rows;
  int64_t vectors;  // of a row
  int lanes;        // of a group: a power of two up to a warp, or all threads of the block
};

/// `max_lanes`: a power of two; fewer for kernels that need more than 64 registers.
template <int kVector>
RowSchedule row_schedule(const RowShape& shape, int max_lanes = kMaxGroupLanes) {
  const int64_t vectors = shape.width / kVector, wanted = (vectors + kKept<kVector> - 1) / kKept<kVector>;
  const int64_t lanes = std::min<int64_t>(wanted, max_lanes);
  if (lanes <= kWarpSize)
    return {shape.rows(), vectors, static_cast<int>(std::bit_ceil(static_cast<unsigned>(lanes)))};
  return {shape.rows(), vectors, static_cast<int>((lanes + kWarpSize - 1) / kWarpSize * kWarpSize)};
}

struct RowGroupPlan {
  BlockScratch<float> scratch;
};

inline LaunchShape launch_shape(const RowSchedule& schedule) {
  const int threads = schedule.lanes <= kWarpSize ? 128 : schedule.lanes, rows = threads / schedule.lanes;
  if (schedule.vectors == 0) return {.grid = dim3(0), .threads = threads};
  return {.grid = dim3(static_cast<unsigned>((schedule.rows + rows - 1) / rows)),
          .threads = threads,
          .shared_bytes = sizeof(RowGroupPlan)};
}

/// The calling thread's part of its row.
struct RowGroup {
  int64_t row;
  int64_t vectors;  // of the row; 0 in groups beyond the last row, which take part in reductions only
  int lane;
  int lanes;
};
WARPLOOP_DEVICE RowGroup row_group(const RowSchedule& schedule) {
  const int thread = static_cast<int>(threadIdx.x), groups = static_cast<int>(blockDim.x) / schedule.lanes;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * groups + thread / schedule.lanes;
  return {row, row < schedule.rows ? schedule.vectors : 0, thread % schedule.lanes, schedule.lanes};
}

/// body(i, vector) for the vectors that the lane keeps, i < kCount.
template <int kCount, class Body>
WARPLOOP_DEVICE void for_kept(const RowGroup& group, const Body& body) {
#pragma unroll
  for (int i = 0; i < kCount; i++) {
    const int64_t vector = group.lane + i * group.lanes;
    if (vector < group.vectors) body(i, vector);
  }
}
/// body(vector) for those that it reads again.
template <int kCount, class Body>
WARPLOOP_DEVICE void for_rest(const RowGroup& group, const Body& body) {
  for (int64_t vector = group.lane + kCount * group.lanes; vector < group.vectors; vector += group.lanes)
    body(vector);
}

/// body(vector, values) for all vectors of the lane: those that it keeps in place, the rest as load(vector,
/// values) reads them.
template <int kVector, int kCount, class Load, class Body>
WARPLOOP_DEVICE void for_row(const RowGroup& group, float (&kept)[kCount][kVector], const Load& load,
                             const Body& body) {
  for_kept<kCount>(group, [&](int i, int64_t vector) { body(vector, kept[i]); });
  for_rest<kCount>(group, [&](int64_t vector) {
    float values[kVector];
    load(vector, values);
    body(vector, values);
  });
}

/// What the lane will want of a row that all rows share (a weight, f32) on its way into L2.
template <int kVector, int kCount>
WARPLOOP_DEVICE void prefetch_kept(const RowGroup& group, const Rows& shared) {
  for_kept<kCount>(group, [&](int, int64_t vector) {
    prefetch_l2(shared.data + vector * kVector * float_bytes(DType::f32));
  });
}

/// op over the values of the group's lanes, in every lane. All threads of the block call it.
template <class Op>
WARPLOOP_DEVICE float reduce_group(float value, float neutral, const RowGroup& group, RowGroupPlan& plan,
                                   Op op) {
  if (group.lanes > kWarpSize) return reduce_block(value, neutral, plan.scratch, op);
  for (int mask = group.lanes / 2; mask > 0; mask /= 2) value = op(value, shuffle_xor(value, mask));
  return value;
}
WARPLOOP_DEVICE float sum_group(float value, const RowGroup& group, RowGroupPlan& plan) {
  return reduce_group(value, 0.0f, group, plan, [](float a, float b) { return a + b; });
}
WARPLOOP_DEVICE float max_group(float value, const RowGroup& group, RowGroupPlan& plan) {
  return reduce_group(value, -INFINITY, group, plan, [](float a, float b) { return a > b ? a : b; });
}

}  // namespace warploop::cuda
