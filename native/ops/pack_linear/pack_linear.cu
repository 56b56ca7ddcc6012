// What:      plain rows in panel order (formats/dense.h): the rows of weight at their places, zeros where the
//            whole matrix has no such row or k, and nothing where a row belongs to another part
// Steps:     rows contiguous in k: copy vectors of up to 16 bytes.  others: squares turn in shared memory
// Mapping:   copy: a thread takes four vectors (device/vectors.cuh).  turn: block = a square of 32 x 32
// Cost:      every byte read and written once, at load only
// Limits:    moves bits: one instance per element size
#include "ops/pack_linear/pack_linear.h"

#include "cuda/device/block.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

struct PackWork {
  PackLinearParams params;
  Rows weight, out;
  RowShape weight_shape;
  VectorGrid grid;     // of out, from the first panel on that gets rows
  int64_t packed_row;  // the first of these panels
  int64_t K;
};

constexpr int kBatch = 4;

template <int kVector>
__global__ void __launch_bounds__(kVectorThreads) copy_rows(const __grid_constant__ PackWork p) {
  wait_for_predecessors();
  uint4 vectors[kBatch] = {};
  int64_t out_offsets[kBatch] = {};  // -1: of another part
  for_vectors<kBatch>(
      p.grid,
      [&](int i, const RowPlace& place, int64_t vector) {
        const int64_t k = vector * kVector, row = p.params.part().source_row(p.packed_row + place.outer[2]);
        out_offsets[i] = row == PartOfWeight::kOthers ? -1 : offset_of(p.out, place) + k;
        vectors[i] = {0, 0, 0, 0};
        if (row >= 0 && k < p.K)
          vectors[i] = load_vector<kVector>(p.weight, offset_of(p.weight, place_of(p.weight_shape, row)) + k);
      },
      [&](int i) {
        if (out_offsets[i] >= 0) store_vector<kVector>(p.out, out_offsets[i], vectors[i]);
      });
}

constexpr int kSquare = 32, kTurnThreads = 256;

template <class Bits>
struct TurnPlan {
  Bits square[kSquare][kSquare + 1];  // + 1: a column falls into all banks
};

template <class Bits>
__global__ void __launch_bounds__(kTurnThreads) turn_rows(const __grid_constant__ PackWork p) {
  wait_for_predecessors();
  auto& plan = shared_plan<TurnPlan<Bits>>();
  const int64_t across = (p.grid.shape.width + kSquare - 1) / kSquare;
  const int64_t first_row = blockIdx.x / across * kSquare, first_k = blockIdx.x % across * kSquare;
  const int x = static_cast<int>(threadIdx.x) % kSquare, y = static_cast<int>(threadIdx.x) / kSquare;
  auto* out = reinterpret_cast<Bits*>(p.out.data);
  const int64_t row = first_row + x < p.grid.shape.rows()
                          ? p.params.part().source_row(p.packed_row + first_row + x)
                          : PartOfWeight::kOthers;
  const auto* weight = reinterpret_cast<const Bits*>(p.weight.data);
  if (row >= 0) weight += offset_of(p.weight, place_of(p.weight_shape, row));
  const int64_t k_stride = p.params.weight.strides[p.params.weight.rank - 1];
#pragma unroll
  for (int i = y; i < kSquare; i += kTurnThreads / kSquare) {
    const int64_t k = first_k + i;
    plan.square[i][x] = row >= 0 && k < p.K ? weight[k * k_stride] : Bits{0};
  }
  sync_block();
#pragma unroll
  for (int i = y; i < kSquare; i += kTurnThreads / kSquare) {
    const int64_t packed_row = first_row + i, k = first_k + x;
    const bool exists = packed_row < p.grid.shape.rows() && k < p.grid.shape.width;
    if (exists && p.params.part().source_row(p.packed_row + packed_row) != PartOfWeight::kOthers) {
      out[packed_row * p.out.strides[2] + k] = plan.square[x][i];
    }
  }
}

}  // namespace

void pack_linear(const PackLinearParams& p, CudaContext& context) {
  const PartOfWeight::Range range = p.part().panels();
  if (range.first == range.end) return;
  TensorView out = p.out.data;  // the panels that get rows, as plain rows
  out.rank = 2;
  out.sizes[0] = (range.end - range.first) * Dense::kPanelRows;
  out.sizes[1] = p.out.data.size(2);
  out.sizes[2] = out.sizes[3] = 1;
  out.strides[0] = out.sizes[1];
  out.strides[1] = 1;
  out.strides[2] = out.strides[3] = 0;
  const int64_t packed_row = range.first * Dense::kPanelRows;
  out.data = out.as<std::byte>() + bytes_of(out.dtype, static_cast<size_t>(packed_row * out.sizes[1]));
  PackWork work{p, rows_of(p.weight), rows_of(out), shape_of(p.weight), {}, packed_row, p.inputs()};
  if (p.weight.stride(-1) != 1 && work.K > 1) {
    work.grid = vector_grid(shape_of(out), 1);
    const int64_t squares = (out.sizes[0] + kSquare - 1) / kSquare * ((out.sizes[1] + kSquare - 1) / kSquare);
    const dim3 grid(static_cast<unsigned>(squares));
    if (float_bytes(out.dtype) == 4) {
      launch<turn_rows<uint32_t>>(context, {grid, kTurnThreads, sizeof(TurnPlan<uint32_t>)}, work);
    } else {
      launch<turn_rows<uint16_t>>(context, {grid, kTurnThreads, sizeof(TurnPlan<uint16_t>)}, work);
    }
    return;
  }
  const int vector = work.K == out.sizes[1] ? choose_vector(work.K, out, p.weight) : 1;
  dispatch_vector<8>(vector, [&]<int kVector>(std::integral_constant<int, kVector>) {
    work.grid = vector_grid(shape_of(out), kVector);
    launch<copy_rows<kVector>>(context, launch_shape<kBatch>(work.grid.total), work);
  });
}

}  // namespace warploop::cuda
