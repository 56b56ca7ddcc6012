// The kernel behind elementwise ops: out = Op(inputs), for tensors of one shape.
//
// An Op is a small type with kInputs (1 or 2) and float operator()(float...) const; its fields are arguments
// of the launch.
#pragma once
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

template <class Op>
struct MapParams {
  Rows in[Op::kInputs];
  Rows out;
  VectorGrid grid;
  Op op;
};

/// Vectors of a thread: four loads of 16 bytes are under way.
template <class Op>
inline constexpr int kMapBatch = 4 / Op::kInputs;

/// Steps:    1. load   2. apply Op to every element   3. store
/// Mapping:  grid = vectors / (256 kMapBatch); the vectors of a thread are 256 apart, so that a warp's load
/// is contiguous
template <class Op, int kVector>
__global__ void __launch_bounds__(kVectorThreads) map_kernel(const __grid_constant__ MapParams<Op> p) {
  wait_for_predecessors();
  constexpr int kInputs = Op::kInputs, kBatch = kMapBatch<Op>;
  uint4 in[kInputs][kBatch] = {};
  int64_t out_offsets[kBatch] = {};
  for_vectors<kBatch>(
      p.grid,
      [&](int i, const RowPlace& place, int64_t vector) {
#pragma unroll
        for (int k = 0; k < kInputs; k++) {
          in[k][i] = load_vector<kVector>(p.in[k], offset_of(p.in[k], place) + vector * kVector);  // 1.
        }
        out_offsets[i] = offset_of(p.out, place) + vector * kVector;
      },
      [&](int i) {
        float operands[kInputs][kVector], results[kVector];
#pragma unroll
        for (int k = 0; k < kInputs; k++) widen(in[k][i], p.in[k].dtype, operands[k]);
#pragma unroll
        for (int j = 0; j < kVector; j++) {
          if constexpr (kInputs == 1) {
            results[j] = p.op(operands[0][j]);  // 2.
          } else {
            results[j] = p.op(operands[0][j], operands[1][j]);
          }
        }
        store_floats(p.out, out_offsets[i], results);  // 3.
      });
}

/// out = op(inputs...). Views of one shape of rank 0 to 4; out may be one of the inputs.
template <class Op, class... Views>
void map(const CudaContext& context, const Op& op, TensorView out, Views... inputs) {
  static_assert(sizeof...(Views) == Op::kInputs);
  merge_axes(out, inputs...);
  const RowShape shape = shape_of(out);
  const int vector = choose_vector(shape.width, out, inputs...);
  dispatch_vector<8>(vector, [&]<int kVector>(std::integral_constant<int, kVector>) {
    const MapParams<Op> params{{rows_of(inputs)...}, rows_of(out), vector_grid(shape, kVector), op};
    launch<map_kernel<Op, kVector>>(context, launch_shape<kMapBatch<Op>>(params.grid.total), params);
  });
}

}  // namespace warploop::cuda
