// How the accumulators of wgmma become rows of a result. A warp holds 16 rows; this works on 64 columns of
// them at a time, 32 values of a thread, in the order of wgmma.cuh: v[4 j + 2 h + i] is row g + 8 h, column 8
// j + 2 t + i (g = lane / 4, t = lane % 4).
#pragma once
#include "cuda/device/activations.cuh"
#include "cuda/device/dtype.cuh"
#include "cuda/device/store_matrix.cuh"
#include "cuda/device/warp.cuh"
#include "cuda/gemm/product.h"

namespace warploop::cuda {

inline constexpr int kSpanRows = 16;
inline constexpr int kSpanColumns = 64;

/// Where a span lies in a matrix. Rows and columns outside are neither read nor written.
struct Span {
  int64_t row;      // the first of 16
  int64_t row_end;  // of the part of the matrix that is this tile's business
  int column;       // the first of 64

  /// All 16 x 64 values lie inside.
  WARPLOOP_DEVICE bool inside(int64_t columns) const {
    return row + kSpanRows <= row_end && column + kSpanColumns <= columns;
  }
};

/// 16 rows of 64 16-bit values of one warp, on their way from fragments to whole rows; 16-byte pieces are
/// swizzled.
struct alignas(128) SpanStaging {
  unsigned char bytes[kSpanRows * 2 * kSpanColumns];
};

/// True if all rows start at multiples of `bytes`.
WARPLOOP_DEVICE bool rows_aligned(const void* data, uint64_t stride_bytes, uint64_t bytes) {
  return (reinterpret_cast<uintptr_t>(data) | stride_bytes) % bytes == 0;
}

/// v += the biases of the 64 columns from `column` on; `bias` has as many as out has columns.
WARPLOOP_DEVICE void add_bias(float (&v)[32], const Epilogue& e, const float* bias, int column) {
  const int first = column + 2 * (lane_index() % 4);
#pragma unroll
  for (int j = 0; j < 8; j++) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int c = first + 8 * j + i;
      const float value = c < e.columns ? bias[c] : 0.0f;
      v[4 * j + i] += value;
      v[4 * j + 2 + i] += value;
    }
  }
}

/// The 64 columns of out from `column` on, e.function of gate and up, from the `span`-th 128 columns of sums:
/// panels of 16, gate and up by turns, so that both of one output are 8 values of a thread apart.
template <int kCount>
WARPLOOP_DEVICE void gated_span(const float (&d)[kCount], int span, const Epilogue& e, const float* bias,
                                int column, float (&v)[32]) {
  float up[32];
#pragma unroll
  for (int n = 0; n < 32; n++) {
    const int gate = 64 * span + n / 8 * 16 + n % 8;
    v[n] = d[gate];
    up[n] = d[gate + 8];
  }
  if (bias) {
    add_bias(v, e, bias, column);
    add_bias(up, e, bias + e.columns, column);
  }
  if (e.function.clamped) {
#pragma unroll
    for (int n = 0; n < 32; n++) {
      v[n] = clamped_swiglu(e.function, rounded_to(e.gate_dtype, v[n]), rounded_to(e.gate_dtype, up[n]));
    }
    return;
  }
#pragma unroll
  for (int n = 0; n < 32; n++) v[n] = silu(rounded_to(e.gate_dtype, v[n])) * rounded_to(e.gate_dtype, up[n]);
}

/// Two neighbours, `p` aligned to both.
WARPLOOP_DEVICE float2 load_pair(const float* p) { return *reinterpret_cast<const float2*>(p); }
template <class S>
WARPLOOP_DEVICE float2 load_pair(const S* p) {
  const uint32_t pair = *reinterpret_cast<const uint32_t*>(p);
  return {low_of<S>(pair), high_of<S>(pair)};
}

template <class S>
WARPLOOP_DEVICE void add_residual_of(float (&v)[32], const Epilogue& e, const Span& span) {
  const int lane = lane_index(), column = span.column + 2 * (lane % 4);
  const int64_t row = span.row + lane / 4, eight_rows = 8 * e.residual_stride;
  const S* data = static_cast<const S*>(e.residual) + row * e.residual_stride + column;
  if (span.inside(e.columns) &&
      rows_aligned(e.residual, static_cast<uint64_t>(e.residual_stride) * sizeof(S), 2 * sizeof(S))) {
    float2 loaded[16];  // all loads before the first use
#pragma unroll
    for (int n = 0; n < 16; n++) loaded[n] = load_pair(data + (n % 2) * eight_rows + n / 2 * 8);
#pragma unroll
    for (int n = 0; n < 16; n++) {
      v[2 * n] += loaded[n].x;
      v[2 * n + 1] += loaded[n].y;
    }
    return;
  }
#pragma unroll
  for (int n = 0; n < 32; n++) {
    const int half = n / 2 % 2, offset = n / 4 * 8 + n % 2;
    if (row + 8 * half < span.row_end && column + offset < e.columns) {
      v[n] += to_float(data[half * eight_rows + offset]);
    }
  }
}
/// v += the residual of this span.
WARPLOOP_DEVICE void add_residual(float (&v)[32], const Epilogue& e, const Span& span) {
  if (e.residual_dtype == DType::f32) {
    add_residual_of<float>(v, e, span);
  } else if (e.residual_dtype == DType::bf16) {
    add_residual_of<bf16>(v, e, span);
  } else {
    add_residual_of<f16>(v, e, span);
  }
}

/// What `Epilogue::gap` adds to the place of a span.
WARPLOOP_DEVICE int64_t gaps_before(const Epilogue& e, int column) {
  return e.together > 0 ? column / e.together * e.gap : 0;
}

/// f32: a group of four lanes writes 32 bytes of a row, a whole sector.
WARPLOOP_DEVICE void store_span_f32(const Epilogue& e, const Span& span, const float (&v)[32], int64_t gaps) {
  const int lane = lane_index(), column = span.column + 2 * (lane % 4);
  const int64_t row = span.row + lane / 4, eight_rows = 8 * e.out_stride;
  float* data = static_cast<float*>(e.out) + gaps + row * e.out_stride + column;
  if (span.inside(e.columns) &&
      rows_aligned(e.out, static_cast<uint64_t>(e.out_stride) * sizeof(float), sizeof(float2))) {
#pragma unroll
    for (int n = 0; n < 16; n++) {
      *reinterpret_cast<float2*>(data + (n % 2) * eight_rows + n / 2 * 8) = {v[2 * n], v[2 * n + 1]};
    }
    return;
  }
#pragma unroll
  for (int n = 0; n < 32; n++) {
    const int half = n / 2 % 2, offset = n / 4 * 8 + n % 2;
    if (row + 8 * half < span.row_end && column + offset < e.columns) data[half * eight_rows + offset] = v[n];
  }
}

/// 16 bits: through shared memory, so that eight lanes write the 128 bytes of a row.
template <class T>
WARPLOOP_DEVICE void store_span_16(const Epilogue& e, const Span& span, const float (&v)[32],
                                   SpanStaging& staging, int64_t gaps) {
  constexpr int kPieces = kSpanColumns / 8;
  const int lane = lane_index();
  // Matrices of stmatrix: rows 0..7 and 8..15 of eight columns, then those of the next eight.
  const int staged_row = lane % 16;
  sync_warp();  // the span before has been read
#pragma unroll
  for (int n = 0; n < 4; n++) {
    uint32_t pairs[4];
#pragma unroll
    for (int i = 0; i < 4; i++) pairs[i] = pack_pair<T>(v[8 * n + 2 * i], v[8 * n + 2 * i + 1]);
    const int piece = (2 * n + lane / 16) ^ (staged_row % 8);
    store_matrix_x4(shared_address(&staging.bytes[(staged_row * kPieces + piece) * 16]), pairs);
  }
  sync_warp();
  const bool whole = rows_aligned(e.out, static_cast<uint64_t>(e.out_stride) * sizeof(T), 16);
  const int column = span.column + lane % 8 * 8;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int row = 4 * i + lane / 8, piece = lane % 8 ^ (row % 8);
    const unsigned char* from = &staging.bytes[(row * kPieces + piece) * 16];
    if (span.row + row >= span.row_end || column >= e.columns) continue;
    T* to = static_cast<T*>(e.out) + gaps + (span.row + row) * e.out_stride + column;
    if (whole && column + 8 <= e.columns) {
      *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(from);
    } else {
      for (int c = 0; c < 8 && column + c < e.columns; c++) to[c] = reinterpret_cast<const T*>(from)[c];
    }
  }
}

/// Writes a span as f32, or rounded to T. All lanes of the warp; `staging` is the warp's own. `gaps`: so many
/// elements of others lie before it, a multiple of 8.
template <class T>
WARPLOOP_DEVICE void store_span(const Epilogue& e, const Span& span, const float (&v)[32],
                                SpanStaging& staging, int64_t gaps = 0) {
  if (e.out_dtype == DType::f32) {
    store_span_f32(e, span, v, gaps);
  } else {
    store_span_16<T>(e, span, v, staging, gaps);
  }
}

}  // namespace warploop::cuda
