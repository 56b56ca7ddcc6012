// The end of every matrix product: a tile of f32 sums in shared memory becomes rows of the output.
//
// Splits: blocks that share the K of a tile leave their sums in the workspace; the one that arrives last adds
// them in split order, so that the result does not depend on who came when.
#pragma once
#include "cuda/device/activations.cuh"
#include "cuda/device/dtype.cuh"
#include "cuda/device/last_block.cuh"
#include "cuda/gemm/row_tiles.cuh"

namespace warploop::cuda {

/// v += p[0 .. count)
template <class T>
WARPLOOP_DEVICE void add_quad(const T* p, int count, bool whole, float (&v)[4]) {
  if (!whole) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i < count) v[i] += to_float(p[i]);
    }
  } else if constexpr (std::is_same_v<T, float>) {
    const float4 q = *reinterpret_cast<const float4*>(p);
    v[0] += q.x, v[1] += q.y, v[2] += q.z, v[3] += q.w;
  } else {
    const uint2 q = *reinterpret_cast<const uint2*>(p);
    v[0] += low_of<T>(q.x), v[1] += high_of<T>(q.x), v[2] += low_of<T>(q.y), v[3] += high_of<T>(q.y);
  }
}

/// p[0 .. count) = v
template <class T>
WARPLOOP_DEVICE void store_quad(T* p, int count, bool whole, const float (&v)[4]) {
  if (!whole) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i < count) p[i] = from_float<T>(v[i]);
    }
  } else if constexpr (std::is_same_v<T, float>) {
    *reinterpret_cast<float4*>(p) = {v[0], v[1], v[2], v[3]};
  } else {
    *reinterpret_cast<uint2*>(p) = {pack_pair<T>(v[0], v[1]), pack_pair<T>(v[2], v[3])};
  }
}

/// How many of the four columns from `column` on (a multiple of 4) there are, and whether they are one
/// vector.
struct Quad {
  int count;
  bool whole;
};
WARPLOOP_DEVICE Quad quad_at(const Epilogue& e, int64_t column) {
  const int64_t left = e.columns - column;
  const int count = left <= 0 ? 0 : left < 4 ? static_cast<int>(left) : 4;
  return {count, e.quads && count == 4};
}

/// v += those of the four biases from `bias` on that there are.
WARPLOOP_DEVICE void add_bias_quad(const Epilogue& e, const float* bias, int64_t column, float (&v)[4]) {
  const auto [count, whole] = quad_at(e, column);
  add_quad(bias + column, count, whole, v);
}

/// gate = e.function of gate and up of the four columns from `column` on (a multiple of 4).
WARPLOOP_DEVICE void multiply_gates(const Epilogue& e, const float* bias, int64_t column, float (&gate)[4],
                                    float (&up)[4]) {
  if (bias) {
    add_bias_quad(e, bias, column, gate);
    add_bias_quad(e, bias + e.columns, column, up);
  }
  if (e.function.clamped) {
#pragma unroll
    for (int i = 0; i < 4; i++)
      gate[i] =
          clamped_swiglu(e.function, rounded_to(e.gate_dtype, gate[i]), rounded_to(e.gate_dtype, up[i]));
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
    gate[i] = silu(rounded_to(e.gate_dtype, gate[i])) * rounded_to(e.gate_dtype, up[i]);
}

/// v += the residual of the four columns from `column` on (a multiple of 4).
WARPLOOP_DEVICE void add_residual_quad(const Epilogue& e, int64_t row, int64_t column, float (&v)[4]) {
  const auto [count, whole] = quad_at(e, column);
  const int64_t at = row * e.residual_stride + column;
  if (e.residual_dtype == DType::f32) {
    add_quad(static_cast<const float*>(e.residual) + at, count, whole, v);
  } else if (e.residual_dtype == DType::bf16) {
    add_quad(static_cast<const bf16*>(e.residual) + at, count, whole, v);
  } else {
    add_quad(static_cast<const f16*>(e.residual) + at, count, whole, v);
  }
}

/// Converts and stores the four columns from `column` on (a multiple of 4), `skipped` elements behind out.
WARPLOOP_DEVICE void store_out_quad(const Epilogue& e, int64_t row, int64_t column, const float (&v)[4],
                                    int64_t skipped = 0) {
  const auto [count, whole] = quad_at(e, column);
  const int64_t at = skipped + row * e.out_stride + column;
  if (e.out_dtype == DType::f32) {
    store_quad(static_cast<float*>(e.out) + at, count, whole, v);
  } else if (e.out_dtype == DType::bf16) {
    store_quad(static_cast<bf16*>(e.out) + at, count, whole, v);
  } else {
    store_quad(static_cast<f16*>(e.out) + at, count, whole, v);
  }
}

WARPLOOP_DEVICE void accumulate(float4& sum, const float4& v) {
  sum = {sum.x + v.x, sum.y + v.y, sum.z + v.z, sum.w + v.w};
}

/// Layout of a tile of sums: kParts times [kRows][kStride] f32, kColumns of each row used; the parts (warps
/// that share the K of the block) are added in order.
template <int kRows_, int kColumns_, int kStride_, int kParts_>
struct SumsLayout {
  static constexpr int kRows = kRows_, kColumns = kColumns_, kStride = kStride_, kParts = kParts_;
  static_assert(kStride % 4 == 0 && (kColumns & (kColumns - 1)) == 0);
};

/// Stores the tile whose first weight row is `first_column`. `sums` is complete for the whole block;
/// `is_last` is shared. Every thread of the block calls it.
template <class Layout, int kThreads>
WARPLOOP_DEVICE void finish_tile(const Product& p, const TilePlace& at, const RowBlock& rows,
                                 int64_t first_column, const float* sums, bool& is_last) {
  constexpr int kQuads = Layout::kColumns / 4;
  const int thread = static_cast<int>(threadIdx.x);
  const auto own = [&](int row, int column) {
    float4 sum{};
#pragma unroll
    for (int part = 0; part < Layout::kParts; part++) {
      accumulate(sum, *reinterpret_cast<const float4*>(sums + (part * Layout::kRows + row) * Layout::kStride +
                                                       column));
    }
    return sum;
  };
  float4* const partials = reinterpret_cast<float4*>(p.partials) +
                           static_cast<int64_t>(at.tile) * p.splits * Layout::kRows * kQuads;
  if (p.splits > 1) {
    float4* mine = partials + at.split * Layout::kRows * kQuads;
    for (int i = thread; i < rows.count * kQuads; i += kThreads) mine[i] = own(i / kQuads, i % kQuads * 4);
    if (!arrive_last(p.counters[at.tile], static_cast<uint32_t>(p.splits), is_last)) return;
  }
  const auto total = [&](int row, int column) {
    if (p.splits == 1) return own(row, column);
    float4 sum{};
#pragma unroll 4
    for (int split = 0; split < p.splits; split++) {
      accumulate(sum, partials[(split * Layout::kRows + row) * kQuads + column / 4]);
    }
    return sum;
  };
  const bool swiglu = p.epilogue.swiglu;
  const float* const bias = bias_of(p.epilogue, rows.group);
  const int quads = swiglu ? kQuads / 2 : kQuads;  // of out
  for (int i = thread; i < rows.count * quads; i += kThreads) {
    const int row = i / quads, column = i % quads * 4;
    const float4 sum = total(row, swiglu ? column / 16 * 32 + column % 16 : column);
    const int64_t out_column = (swiglu ? first_column / 2 : first_column) + column;
    float v[4] = {sum.x, sum.y, sum.z, sum.w};
    if (swiglu) {
      const float4 second = total(row, column / 16 * 32 + column % 16 + 16);
      float up[4] = {second.x, second.y, second.z, second.w};
      multiply_gates(p.epilogue, bias, out_column, v, up);
    } else if (bias) {
      add_bias_quad(p.epilogue, bias, out_column, v);
    }
    if (p.epilogue.residual) add_residual_quad(p.epilogue, rows.first + row, out_column, v);
    store_out_quad(p.epilogue, rows.first + row, out_column, v, head_index() * p.heads.out_stride);
  }
}

}  // namespace warploop::cuda
