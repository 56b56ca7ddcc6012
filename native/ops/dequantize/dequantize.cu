// What:      out = (code - zero) scale - minimum of stored rows, converted to the dtype of out
// Steps:     1. verify row, input and group   2. code, scale, zero and minimum   3. convert and store
// Mapping:   grid = vectors of out / 256; a thread makes one vector of a row
// Resources: no shared memory
// Cost:      at load only: bytes of out; scales come from the cache
// Numerics:  f32, rounded once (formats/stored.h), then to nearest even. NaN is an execution error
// Source:    the formats' own documents, see formats/stored.h
#include "ops/dequantize/dequantize.h"

#include "cuda/device/stored.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

struct Decode {
  StoredSource source;
  Rows out;
  VectorGrid grid;
};

template <class Format, int kVector>
__global__ void __launch_bounds__(kVectorThreads) dequantize_kernel(const __grid_constant__ Decode p) {
  wait_for_predecessors();
  for_vectors<1>(
      p.grid,
      [&](int, const RowPlace& place, int64_t vector) {
        const int64_t row = stored_row(p.source, place.outer[2]);  // 1.
        if (row < 0) return;
        float values[kVector];
#pragma unroll
        for (int e = 0; e < kVector; e++) {
          values[e] = stored_element<Format>(p.source, row, vector * kVector + e);  // 2.
        }
        store_floats(p.out, offset_of(p.out, place) + vector * kVector, values);  // 3.
      },
      [](int) {});
}

}  // namespace

void dequantize(const DequantizeParams& p, CudaContext& context) {
  const RowShape shape = shape_of(p.out);
  Decode work{stored_source(p.stored, OpId::dequantize, context), rows_of(p.out), {}};
  dispatch_stored(p.stored.format, [&]<class Format>(Format) {
    const int vector = std::min(choose_vector(shape.width, p.out), 4);
    dispatch_vector<4>(vector, [&]<int kVector>(std::integral_constant<int, kVector>) {
      work.grid = vector_grid(shape, kVector);
      launch<dequantize_kernel<Format, kVector>>(context, launch_shape<1>(work.grid.total), work);
    });
  });
}

}  // namespace warploop::cuda
