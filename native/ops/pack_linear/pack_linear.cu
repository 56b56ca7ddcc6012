// What:      plain weight rows in panel order: out [16 panels, Kp] = the rows of weight, with swiglu those of
//            gate and up in turns of 16; zeros where there is no such row or k
// Steps:     not transposed: copy vectors of up to 16 bytes.  transposed: squares turn in shared memory
// Mapping:   copy: a thread takes four vectors (device/vectors.cuh).  turn: block = a square of 32 x 32
// Cost:      every byte read and written once, at load only
// Limits:    moves bits: one instance per element size
#include "ops/pack_linear/pack_linear.h"

#include "cuda/device/block.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

struct PackWork {
  Rows weight, out;
  VectorGrid grid;  // of out
  int64_t N, K;
  bool swiglu;
};

constexpr int kBatch = 4;

template <int kVector>
__global__ void __launch_bounds__(kVectorThreads) copy_rows(const __grid_constant__ PackWork p) {
  uint4 vectors[kBatch] = {};
  int64_t out_offsets[kBatch] = {};
  for_vectors<kBatch>(
      p.grid,
      [&](int i, const RowPlace& place, int64_t vector) {
        const int64_t packed_row = place.outer[2], k = vector * kVector;
        const int64_t row = weight_row(packed_row, p.N, p.swiglu);
        out_offsets[i] = offset_of(p.out, place) + k;
        vectors[i] = {0, 0, 0, 0};
        if (row >= 0 && k < p.K) vectors[i] = load_vector<kVector>(p.weight, row * p.weight.strides[2] + k);
      },
      [&](int i) { store_vector<kVector>(p.out, out_offsets[i], vectors[i]); });
}

constexpr int kSquare = 32, kTurnThreads = 256;

template <class Bits>
struct TurnPlan {
  Bits square[kSquare][kSquare + 1];  // + 1: a column falls into all banks
};

template <class Bits>
__global__ void __launch_bounds__(kTurnThreads) turn_rows(const __grid_constant__ PackWork p) {
  auto& plan = shared_plan<TurnPlan<Bits>>();
  const int64_t across = (p.grid.shape.width + kSquare - 1) / kSquare;
  const int64_t first_row = blockIdx.x / across * kSquare, first_k = blockIdx.x % across * kSquare;
  const int x = static_cast<int>(threadIdx.x) % kSquare, y = static_cast<int>(threadIdx.x) / kSquare;
  const auto* weight = reinterpret_cast<const Bits*>(p.weight.data);
  auto* out = reinterpret_cast<Bits*>(p.out.data);
  const int64_t row = first_row + x < p.grid.shape.rows() ? weight_row(first_row + x, p.N, p.swiglu) : -1;
#pragma unroll
  for (int i = y; i < kSquare; i += kTurnThreads / kSquare) {
    const int64_t k = first_k + i;
    plan.square[i][x] = row >= 0 && k < p.K ? weight[k * p.weight.strides[2] + row] : Bits{0};
  }
  sync_block();
#pragma unroll
  for (int i = y; i < kSquare; i += kTurnThreads / kSquare) {
    const int64_t packed_row = first_row + i, k = first_k + x;
    if (packed_row < p.grid.shape.rows() && k < p.grid.shape.width) {
      out[packed_row * p.out.strides[2] + k] = plan.square[x][i];
    }
  }
}

}  // namespace

void pack_linear(const PackLinearParams& p, CudaContext& context) {
  TensorView out = p.out;  // as plain rows
  out.rank = 2;
  out.sizes[0] = p.out.size(0) * p.out.size(2);
  out.sizes[1] = p.out.size(1) * p.out.size(3);
  out.sizes[2] = out.sizes[3] = 1;
  out.strides[0] = out.sizes[1];
  out.strides[1] = 1;
  out.strides[2] = out.strides[3] = 0;
  PackWork work{rows_of(p.weight),
                rows_of(out),
                {},
                p.weight.size(p.transpose ? 1 : 0),
                p.weight.size(p.transpose ? 0 : 1),
                p.swiglu};
  if (p.transpose) {
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
