// What:      out = (code - zero) scale - minimum of stored rows, converted to the dtype of out
// Steps:     1. verify row, input and group   2. code, scale, zero and minimum   3. convert and store
// Mapping:   grid = vectors of out / 256; a thread makes one vector of a row
// Resources: no shared memory
// Cost:      at load only: bytes of out; scales come from the cache
// Numerics:  f32, rounded once (formats/stored.h), then to nearest even. NaN is an execution error
// Source:    the formats' own documents, see formats/stored.h
#include "ops/dequantize/dequantize.h"

#include "cuda/device/fault.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

struct Decode {
  StoredData stored;
  Rows out;
  VectorGrid grid;
  FaultSite row_fault, input_fault, group_fault, scale_fault, code_fault;
};

/// One element; 0 of what is refused.
template <class Format>
WARPLOOP_DEVICE float element(const Decode& p, int64_t row, int64_t j) {
  const StoredData& s = p.stored;
  const int64_t k = s.input(j);
  if (!s.has_input(k)) {
    raise_fault(p.input_fault, k, s.stored_inputs, s.first_input + j);
    return 0;
  }
  const int64_t g = s.group_of(k);
  if (!s.has_group(g)) {
    raise_fault(p.group_fault, g, s.groups, k);
    return 0;
  }
  if (Format::is_nan_factor(s, row, g)) {
    raise_fault(p.scale_fault, g, 0, row);
    return 0;
  }
  const int32_t code = Format::code(s, row, k);
  if (is_nan_code<Format::kCodes>(code)) {
    raise_fault(p.code_fault, k, 0, row);
    return 0;
  }
  return stored_value<Format>(code, stored_group<Format>(s, row, g));
}

template <class Format, int kVector>
__global__ void __launch_bounds__(kVectorThreads) dequantize_kernel(const __grid_constant__ Decode p) {
  wait_for_predecessors();
  for_vectors<1>(
      p.grid,
      [&](int, const RowPlace& place, int64_t vector) {
        const int64_t i = place.outer[2], row = p.stored.row(i);
        if (!p.stored.has_row(row))
          return raise_fault(p.row_fault, row, p.stored.first_row + p.stored.some_rows - 1, i,
                             p.stored.first_row);
        float values[kVector];
#pragma unroll
        for (int e = 0; e < kVector; e++) values[e] = element<Format>(p, row, vector * kVector + e);
        store_floats(p.out, offset_of(p.out, place) + vector * kVector, values);
      },
      [](int) {});
}

}  // namespace

void dequantize(const DequantizeParams& p, CudaContext& context) {
  const RowShape shape = shape_of(p.out);
  const auto site = [&](const char* text) { return context.fault_site(OpId::dequantize, text); };
  Decode work{stored_data(p.stored),
              rows_of(p.out),
              {},
              site("rowOrder[{index}] = {value} is outside the stored rows {column} to {limit}"),
              site("kOrder[{index}] = {value} is outside [0, K={limit})"),
              site("gIdx[{index}] = {value} is outside the {limit} groups"),
              site("the scale of stored row {index}, group {value} is NaN"),
              site("stored row {index} has NaN at input {value}")};
  dispatch_stored(p.stored.format, [&]<class Format>(Format) {
    const int vector = std::min(choose_vector(shape.width, p.out), 4);
    dispatch_vector<4>(vector, [&]<int kVector>(std::integral_constant<int, kVector>) {
      work.grid = vector_grid(shape, kVector);
      launch<dequantize_kernel<Format, kVector>>(context, launch_shape<1>(work.grid.total), work);
    });
  });
}

}  // namespace warploop::cuda
