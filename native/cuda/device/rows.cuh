// Tensors of rank 0 to 4 seen as rows of their last axis: the device's counterpart of cpu/rows.h.
#pragma once
#include "core/tensor_view.h"
#include "cuda/device/dtype.cuh"

namespace warploop::cuda {

inline constexpr int kOuterAxes = kMaxRank - 1;

/// Where the rows of a tensor lie. The outer axes are aligned to the right: those that a tensor lacks come
/// first, with stride 0.
struct Rows {
  std::byte* data;  // null: the tensor is absent
  int64_t strides[kOuterAxes];
  DType dtype;
  constexpr explicit operator bool() const { return data != nullptr; }
};

/// The shape that all tensors of a kernel share.
struct RowShape {
  int64_t outer[kOuterAxes];
  int64_t width;
  constexpr int64_t rows() const { return outer[0] * outer[1] * outer[2]; }
};

inline Rows rows_of(const TensorView& t) {
  Rows rows{t.as<std::byte>(), {}, t.dtype};
  const int missing = kMaxRank - t.rank;
  for (int axis = 0; axis + 1 < t.rank; axis++) rows.strides[missing + axis] = t.strides[axis];
  return rows;
}
inline RowShape shape_of(const TensorView& t) {
  RowShape shape{{1, 1, 1}, t.rank > 0 ? t.size(-1) : 1};
  const int missing = kMaxRank - t.rank;
  for (int axis = 0; axis + 1 < t.rank; axis++) shape.outer[missing + axis] = t.sizes[axis];
  return shape;
}

/// Columns [begin, begin + width) of a float tensor.
inline TensorView columns_of(TensorView t, int64_t begin, int64_t width) {
  t.data = t.as<std::byte>() + bytes_of(t.dtype, static_cast<size_t>(begin));
  t.sizes[t.rank - 1] = width;
  return t;
}

/// The position of a row along the outer axes.
struct RowPlace {
  int64_t outer[kOuterAxes];
};
WARPLOOP_DEVICE RowPlace place_of(const RowShape& shape, int64_t row) {
  if (shape.outer[0] * shape.outer[1] == 1) return {{0, 0, row}};  // the usual case, after merge_axes
  const int64_t outer = row / shape.outer[2];
  return {{outer / shape.outer[1], outer % shape.outer[1], row % shape.outer[2]}};
}
/// Offset, in elements, of the first element of a row.
WARPLOOP_DEVICE int64_t offset_of(const Rows& rows, const RowPlace& place) {
  return place.outer[0] * rows.strides[0] + place.outer[1] * rows.strides[1] +
         place.outer[2] * rows.strides[2];
}

inline bool can_merge(const TensorView& t, int axis) {
  const int64_t inner = axis + 2 == t.rank ? 1 : t.strides[axis + 1];
  return !t || t.sizes[axis] == 1 || t.strides[axis] == t.sizes[axis + 1] * inner;
}
/// Makes one axis of `axis` and the next.
inline void merge_axis(TensorView& t, int axis) {
  if (!t) return;
  t.strides[axis] = axis + 2 == t.rank ? 1 : t.strides[axis + 1];
  t.sizes[axis] *= t.sizes[axis + 1];
  t.rank--;
  for (int next = axis + 1; next < kMaxRank; next++) {
    t.sizes[next] = next < t.rank ? t.sizes[next + 1] : 1;
    t.strides[next] = next < t.rank ? t.strides[next + 1] : 0;
  }
}
/// Merges neighbouring outer axes of views of one shape where all of them allow it. `first` is present,
/// others may be absent.
template <class... Views>
void merge_outer_axes(TensorView& first, Views&... others) {
  for (int axis = first.rank - 3; axis >= 0; axis--) {
    if (!can_merge(first, axis) || (!can_merge(others, axis) || ...)) continue;
    merge_axis(first, axis);
    (merge_axis(others, axis), ...);
  }
}
/// The same for all axes: contiguous tensors become one row.
template <class... Views>
void merge_axes(TensorView& first, Views&... others) {
  merge_outer_axes(first, others...);
  while (first.rank > 1 && can_merge(first, first.rank - 2) && (can_merge(others, others.rank - 2) && ...)) {
    merge_axis(first, first.rank - 2);
    (merge_axis(others, others.rank - 2), ...);
  }
}

}  // namespace warploop::cuda
