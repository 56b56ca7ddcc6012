// What:      values of stored codes in the rows of a dense weight (formats/dense.h): the rows at their
//            places, zeros where the whole matrix has no such row or input, and nothing where a row belongs
//            to another part
// Steps:     1. where the row comes from   2. its element (cuda/device/stored.cuh)   3. store
// Mapping:   grid = elements of the panels that get rows / 256
// Resources: no shared memory
// Cost:      at load only: bytes of the rows; scales come from the cache
// Numerics:  as of dequantize. NaN is an execution error
// Limits:    dense weights: no product of a GPU reads the others (CudaDevice::weight_formats)
#include "ops/pack_stored/pack_stored.h"

#include "cuda/device/stored.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

struct PackWork {
  StoredSource source;
  PartOfWeight part;
  Rows out;
  VectorGrid grid;     // of the panels that get rows
  int64_t packed_row;  // the first of them
  int64_t inputs;
};

template <class Format>
__global__ void __launch_bounds__(kVectorThreads) pack_stored_kernel(const __grid_constant__ PackWork p) {
  wait_for_predecessors();
  for_vectors<1>(
      p.grid,
      [&](int, const RowPlace& place, int64_t k) {
        const int64_t i = p.part.source_row(p.packed_row + place.outer[2]);  // 1.
        if (i == PartOfWeight::kOthers) return;
        float value[1] = {0};
        if (i >= 0 && k < p.inputs) {
          const int64_t row = stored_row(p.source, i);
          if (row >= 0) value[0] = stored_element<Format>(p.source, row, k);  // 2.
        }
        store_floats(p.out, offset_of(p.out, place) + k, value);  // 3.
      },
      [](int) {});
}

}  // namespace

void pack_stored(const PackStoredParams& p, CudaContext& context) {
  const PartOfWeight::Range range = p.part().panels();
  if (range.first == range.end) return;
  const int64_t packed_row = range.first * Panels::kPanelRows;
  TensorView out = p.out.data;  // the panels that get rows, as plain rows
  out.rank = 2;
  out.sizes[0] = (range.end - range.first) * Panels::kPanelRows;
  out.sizes[1] = p.out.data.size(2);
  out.strides[0] = out.sizes[1];
  out.strides[1] = 1;
  out.data = out.as<std::byte>() + bytes_of(out.dtype, static_cast<size_t>(packed_row * out.sizes[1]));
  const PackWork work{stored_source(p.stored, OpId::pack_stored, context),
                      p.part(),
                      rows_of(out),
                      vector_grid(shape_of(out), 1),
                      packed_row,
                      p.out.inputs};
  dispatch_stored(p.stored.format, [&]<class Format>(Format) {
    launch<pack_stored_kernel<Format>>(context, launch_shape<1>(work.grid.total), work);
  });
}

}  // namespace warploop::cuda
