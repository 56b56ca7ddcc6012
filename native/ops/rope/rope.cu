// What:      a' = a cos - b sin; b' = b cos + a sin for the pairs (a, b) of the first R dimensions of every
//            head; (a, b) = (x[i], x[i + R/2]), or (x[2i], x[2i + 1]) when interleaved, 0 <= i < R/2
// Steps:     1. load kVector pairs   2. find and verify the row of the table   3. rotate and store
// Mapping:   grid = (kVector pairs of q or k / 256, 2): y is 0 for q, 1 for k; one launch serves both. The
//            pairs of a thread are two vectors: one from either half of the head, or neighbours when
//            interleaved. The heads of a token read their row of the table from the cache.
// Resources: no shared memory
// Cost:      bytes of q and k, read and written; bound by memory, at small T by the launch
// Numerics:  f32, rounded once to the dtype of x
// Source:    Su et al.: RoFormer, arXiv 2104.09864, section 3.4.2; split halves as in GPT-NeoX and Llama
#include "ops/rope/rope.h"

#include <algorithm>

#include "cuda/device/fault.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

struct Side {
  Rows x;           // [T, H, Dh]
  VectorGrid grid;  // of its pairs
};

struct Rotation {
  Side sides[2];  // q, k
  const int32_t* positions;
  Rows table;  // [Lmax, R]
  int64_t Lmax;
  int64_t half;  // R / 2
  bool interleaved;
  FaultSite fault;
};

WARPLOOP_DEVICE void rotate(float& a, float& b, float cosine, float sine) {
  const float turned = a * cosine - b * sine;
  b = b * cosine + a * sine;
  a = turned;
}

/// Rotates kVector pairs: (u[j], v[j]), or when interleaved the neighbours in u, then those in v.
template <int kVector>
WARPLOOP_DEVICE void rotate_pairs(float (&u)[kVector], float (&v)[kVector], const float (&cosines)[kVector],
                                  const float (&sines)[kVector], bool interleaved) {
  if constexpr (kVector > 1) {
    if (interleaved) {
#pragma unroll
      for (int j = 0; j < kVector; j += 2) {
        rotate(u[j], u[j + 1], cosines[j / 2], sines[j / 2]);
        rotate(v[j], v[j + 1], cosines[(kVector + j) / 2], sines[(kVector + j) / 2]);
      }
      return;
    }
  }
#pragma unroll
  for (int j = 0; j < kVector; j++) rotate(u[j], v[j], cosines[j], sines[j]);
}

template <int kVector>
__global__ void __launch_bounds__(kVectorThreads) rope_kernel(const __grid_constant__ Rotation p) {
  wait_for_predecessors();
  const Side& side = p.sides[blockIdx.y];
  const int64_t distance = p.interleaved ? kVector : p.half;  // between the two vectors of kVector pairs
  for_vectors<1>(
      side.grid,
      [&](int, const RowPlace& place, int64_t vector) {
        const int64_t pair = vector * kVector, token = place.outer[1];
        const int64_t at = offset_of(side.x, place) + (p.interleaved ? 2 * pair : pair);
        const uint4 first = load_vector<kVector>(side.x, at);  // 1.
        const uint4 second = load_vector<kVector>(side.x, at + distance);
        const int32_t position = p.positions[token];  // 2.
        if (position < 0 || position >= p.Lmax) return raise_fault(p.fault, position, p.Lmax, token);

        float u[kVector], v[kVector], cosines[kVector], sines[kVector];
        load_f32(p.table, position * p.table.strides[2] + pair, cosines);
        load_f32(p.table, position * p.table.strides[2] + p.half + pair, sines);
        widen(first, side.x.dtype, u);
        widen(second, side.x.dtype, v);
        rotate_pairs(u, v, cosines, sines, p.interleaved);  // 3.
        store_floats(side.x, at, u);
        store_floats(side.x, at + distance, v);
      },
      [](int) {});
}

}  // namespace

void rope(const RopeParams& p, CudaContext& context) {
  const int64_t half = p.table.size(1) / 2;
  dispatch_vector<4>(
      choose_vector(half, p.q, p.k, p.table), [&]<int kVector>(std::integral_constant<int, kVector>) {
        const auto side = [half](const TensorView& x) -> Side {
          if (!x) return {};
          RowShape shape = shape_of(x);
          shape.width = half;
          return {rows_of(x), vector_grid(shape, kVector)};
        };
        const Rotation params{
            {side(p.q), side(p.k)},
            p.positions.as<int32_t>(),
            rows_of(p.table),
            p.table.size(0),
            half,
            p.interleaved,
            context.fault_site(OpId::rope, "positions[{index}] = {value} is outside [0, {limit})")};
        LaunchShape shape = launch_shape<1>(std::max(params.sides[0].grid.total, params.sides[1].grid.total));
        shape.grid.y = p.k ? 2 : 1;
        launch<rope_kernel<kVector>>(context, shape, params);
      });
}

}  // namespace warploop::cuda
