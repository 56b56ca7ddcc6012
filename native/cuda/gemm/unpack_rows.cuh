// What:      rows of a weight of codes as numbers: rows of a dense weight (formats/dense.h) for the products
//            of many rows, or those that ids name
// Steps:     1. find the row   2. four codes that lie side by side   3. scale, offset, store
// Mapping:   grid = pieces of 16 bytes of the rows / 256
// Resources: no shared memory
// Cost:      the codes read and the numbers written once
// Numerics:  f32, rounded as in formats/stored.h, then to nearest even
#pragma once
#include "cuda/device/fault.cuh"
#include "cuda/device/vectors.cuh"
#include "cuda/gemm/coded_weight.cuh"

namespace warploop::cuda {

struct UnpackWork {
  CodedWeight weight;
  Rows out;            // [count, width >= K], zeros from K on
  const int32_t* ids;  // [count], or null: rows from `first` on
  int64_t first, count, limit, width;
  FaultSite fault;
};

/// The row of the weight behind row i; -1: none.
WARPLOOP_DEVICE int64_t row_to_unpack(const UnpackWork& p, int64_t i) {
  if (!p.ids) return p.first + i;
  const int64_t id = p.ids[i];
  if (id >= 0 && id < p.limit) return id;
  raise_fault(p.fault, id, p.limit, i);
  return -1;
}

template <Codes codes, int kVector>
__global__ void __launch_bounds__(kVectorThreads) unpack_rows_kernel(const __grid_constant__ UnpackWork p) {
  wait_for_predecessors();
  constexpr int kSteps = CodedRows::chunk_codes(codes) / 16;
  const CodedWeight& w = p.weight;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kVectorThreads + threadIdx.x;
  const int64_t pieces = int64_t{w.chunks} * 4, i = index / pieces;
  if (i >= p.count) return;
  const int64_t row = row_to_unpack(p, i);  // 1.
  if (row < 0) return;
  const int chunk = static_cast<int>(index % pieces / 4), t = static_cast<int>(index % 4);
  const std::byte* const at = w.row(row / w.rows, row % w.rows);
  const uint4 piece = load_16(at + int64_t{chunk} * CodedRows::kChunkBytes + t * CodedRows::kPieceBytes);
  const auto* record = reinterpret_cast<const uint8_t*>(at + w.records() + int64_t{chunk} * w.record.bytes);
#pragma unroll
  for (int step = 0; step < kSteps; step++) {
    uint32_t pairs[4];
    unpack_codes<bf16, codes>(piece, step / 2, pairs);  // 2.
    const PartScale s = part_scale<codes>(w, record, step * w.parts / kSteps);
    const int64_t k = (int64_t{chunk} * kSteps + step) * 16 + t * 4;
    float values[4];
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const uint32_t pair = pairs[step % 2 * 2 + e / 2];
      const float number = e % 2 == 0 ? low_of<bf16>(pair) : high_of<bf16>(pair);
      const float value = (number - added_to_codes(codes) - s.zero) * s.scale - s.minimum;  // 3.
      values[e] = k + e < w.K ? value : 0;
    }
    const int64_t to = i * p.out.strides[kOuterAxes - 1] + k;
    if constexpr (kVector == 4) {
      if (k < p.width) store_floats(p.out, to, values);
    } else {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const float value[1] = {values[e]};
        if (k + e < p.width) store_floats(p.out, to + e, value);
      }
    }
  }
}

/// out = rows of the weight: [count, width] of a float dtype, its rows contiguous.
inline void unpack_rows(const WeightView& weight, int64_t first, const TensorView& out, const int32_t* ids,
                        const FaultSite& fault, const CudaContext& context) {
  const UnpackWork work{coded_weight(weight), rows_of(out),   ids,         first,
                        out.size(0),          weight.outputs, out.size(1), fault};
  const int64_t pieces = out.size(0) * work.weight.chunks * 4;
  if (pieces == 0) return;
  const dim3 grid(static_cast<unsigned>((pieces + kVectorThreads - 1) / kVectorThreads));
  dispatch_codes(work.weight.codes, [&]<Codes codes>(CodesTag<codes>) {
    choose_vector(out.size(1), out) >= 4
        ? launch<unpack_rows_kernel<codes, 4>>(context, {grid, kVectorThreads}, work)
        : launch<unpack_rows_kernel<codes, 1>>(context, {grid, kVectorThreads}, work);
  });
}

}  // namespace warploop::cuda
