// Vectors of kVector elements (8, 4 or 1) of a float dtype: at most 16 bytes, in a uint4. The dtype is a
// value, not a template argument: where memory bounds a kernel, a uniform branch per vector costs nothing,
// and an op of three tensors needs two or three instances instead of 27.
#pragma once
#include <algorithm>

#include "cuda/cuda_context.h"
#include "cuda/device/rows.cuh"
#include "cuda/launch.h"

namespace warploop::cuda {

/// Bytes of an element of a float dtype.
constexpr int float_bytes(DType dtype) { return dtype == DType::f32 ? 4 : 2; }

/// Elements [offset, offset + kVector), as they lie in memory. 8 elements: not f32.
template <int kVector>
WARPLOOP_DEVICE uint4 load_vector(const Rows& t, int64_t offset) {
  const std::byte* p = t.data + offset * float_bytes(t.dtype);
  if constexpr (kVector == 8) {
    return load_16(p);
  } else if constexpr (kVector == 4) {
    if (t.dtype == DType::f32) return load_16(p);
    const uint2 half = load_8(p);
    return {half.x, half.y, 0, 0};
  } else {
    if (t.dtype == DType::f32) return {*reinterpret_cast<const uint32_t*>(p), 0, 0, 0};
    return {*reinterpret_cast<const uint16_t*>(p), 0, 0, 0};
  }
}

template <int kVector>
WARPLOOP_DEVICE void store_vector(const Rows& t, int64_t offset, uint4 v) {
  std::byte* p = t.data + offset * float_bytes(t.dtype);
  if constexpr (kVector == 8) {
    store_16(p, v);
  } else if constexpr (kVector == 4) {
    if (t.dtype == DType::f32) {
      store_16(p, v);
    } else {
      store_8(p, {v.x, v.y});
    }
  } else {
    if (t.dtype == DType::f32) {
      *reinterpret_cast<uint32_t*>(p) = v.x;
    } else {
      *reinterpret_cast<uint16_t*>(p) = static_cast<uint16_t>(v.x);
    }
  }
}

template <class T, int kVector>
WARPLOOP_DEVICE void widen_as(uint4 vector, float (&values)[kVector]) {
  const uint32_t words[4] = {vector.x, vector.y, vector.z, vector.w};
#pragma unroll
  for (int i = 0; i < kVector; i++) {
    if constexpr (std::is_same_v<T, float>) {
      values[i] = __uint_as_float(words[i % 4]);  // kVector <= 4
    } else {
      values[i] = i % 2 == 0 ? low_of<T>(words[i / 2]) : high_of<T>(words[i / 2]);
    }
  }
}

/// The elements of a vector as f32.
template <int kVector>
WARPLOOP_DEVICE void widen(uint4 vector, DType dtype, float (&values)[kVector]) {
  if (dtype == DType::bf16) {
    widen_as<bf16>(vector, values);
  } else if (kVector == 8 || dtype == DType::f16) {
    widen_as<f16>(vector, values);
  } else {
    widen_as<float>(vector, values);
  }
}

template <class T, int kVector>
WARPLOOP_DEVICE uint4 narrow_as(const float (&values)[kVector]) {
  uint32_t words[4] = {0, 0, 0, 0};
#pragma unroll
  for (int i = 0; i < kVector; i++) {
    if constexpr (std::is_same_v<T, float>) {
      words[i % 4] = __float_as_uint(values[i]);  // kVector <= 4
    } else if (i % 2 == 0) {
      words[i / 2] = pack_pair<T>(values[i], i + 1 < kVector ? values[i + 1] : 0.0f);
    }
  }
  return {words[0], words[1], words[2], words[3]};
}

/// f32 values rounded to nearest even.
template <int kVector>
WARPLOOP_DEVICE uint4 narrow(const float (&values)[kVector], DType dtype) {
  if (dtype == DType::bf16) return narrow_as<bf16>(values);
  if (kVector == 8 || dtype == DType::f16) return narrow_as<f16>(values);
  return narrow_as<float>(values);
}

/// A vector in another dtype; in its own it keeps every bit.
template <int kVector>
WARPLOOP_DEVICE uint4 convert(uint4 vector, DType from, DType to) {
  if (from == to) return vector;
  float values[kVector];
  widen(vector, from, values);
  return narrow(values, to);
}

template <int kVector>
WARPLOOP_DEVICE void load_floats(const Rows& t, int64_t offset, float (&values)[kVector]) {
  widen(load_vector<kVector>(t, offset), t.dtype, values);
}
/// The same of a tensor that is always f32; kVector <= 4.
template <int kVector>
WARPLOOP_DEVICE void load_f32(const Rows& t, int64_t offset, float (&values)[kVector]) {
  const float* p = reinterpret_cast<const float*>(t.data) + offset;
  if constexpr (kVector == 4) {
    widen_as<float>(load_16(p), values);
  } else {
    values[0] = *p;
  }
}
template <int kVector>
WARPLOOP_DEVICE void store_floats(const Rows& t, int64_t offset, const float (&values)[kVector]) {
  store_vector<kVector>(t, offset, narrow(values, t.dtype));
}

/// Whether rows start at a multiple of `vector` elements, `bytes` each. Strides count even where there is
/// only one row: the schedule of a row must not depend on how many there are.
inline bool is_aligned(const TensorView& t, int vector, int bytes) {
  if (reinterpret_cast<uintptr_t>(t.data) % static_cast<unsigned>(vector * bytes) != 0) return false;
  for (int axis = 0; axis + 1 < t.rank; axis++) {
    if (t.strides[axis] % vector != 0) return false;
  }
  return true;
}

/// kVector for a kernel that goes through rows of `width` elements of all these tensors: what fills 16 bytes
/// of the widest dtype, less where rows are misaligned or end within a vector. Absent tensors do not count.
template <class... Views>
int choose_vector(int64_t width, const Views&... views) {
  const int widest = std::max({(views ? float_bytes(views.dtype) : 0)...});
  for (int vector = 16 / widest; vector >= 4; vector -= 4) {
    if (width % vector == 0 && ((!views || is_aligned(views, vector, float_bytes(views.dtype))) && ...))
      return vector;
  }
  return 1;
}

/// body(std::integral_constant<int, kVector>). kLongest: 4 where an f32 tensor is always among those of
/// choose_vector.
template <int kLongest, class Body>
void dispatch_vector(int vector, const Body& body) {
  if constexpr (kLongest == 8) {
    if (vector == 8) return body(std::integral_constant<int, 8>{});
  }
  if (vector == 4) return body(std::integral_constant<int, 4>{});
  return body(std::integral_constant<int, 1>{});
}

inline constexpr int kVectorThreads = 256;

/// The vectors of all rows, counted through.
struct VectorGrid {
  RowShape shape;  // the width in vectors
  int64_t total;
};
inline VectorGrid vector_grid(RowShape shape, int vector) {
  shape.width /= vector;
  return {shape, shape.rows() * shape.width};
}
/// A block takes kBatch vectors per thread.
template <int kBatch>
LaunchShape launch_shape(int64_t vectors) {
  constexpr int kBlock = kVectorThreads * kBatch;
  return {.grid = dim3(static_cast<unsigned>((vectors + kBlock - 1) / kBlock)), .threads = kVectorThreads};
}

/// load(i, place, vector), i < kBatch, for each of the thread's vectors (`vector` counts within the row),
/// then store(i) for each. Loads that stand together are under way together: this hides the latency of the
/// memory.
template <int kBatch, class Load, class Store>
WARPLOOP_DEVICE void for_vectors(const VectorGrid& grid, const Load& load, const Store& store) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * (kVectorThreads * kBatch) + threadIdx.x;
#pragma unroll
  for (int i = 0; i < kBatch; i++) {
    const int64_t index = first + i * kVectorThreads;
    if (index >= grid.total) continue;
    const int64_t row = grid.shape.width == grid.total ? 0 : index / grid.shape.width;
    load(i, place_of(grid.shape, row), index - row * grid.shape.width);
  }
#pragma unroll
  for (int i = 0; i < kBatch; i++) {
    if (first + i * kVectorThreads < grid.total) store(i);
  }
}

}  // namespace warploop::cuda
