// Elementwise kernels: tensors of one shape seen as spans of contiguous elements, dealt to threads in pieces
// worth waking for. Unlike rows.h it merges rows that touch and cuts long ones.
#pragma once
#include <type_traits>

#include "cpu/rows.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Rows merge only if they fill whole vectors: otherwise an element would be part of a vector or of a tail
/// depending on how many rows there are, and these may round differently (denormal bf16).
inline bool can_merge_last_axes(const TensorView& t) {
  if (t.rank < 2 || t.size(-1) % kLanes != 0) return false;
  return t.stride(-2) == t.size(-1) || t.size(-2) == 1;
}

inline void merge_last_axes(TensorView& t) {
  t.rank--;
  t.sizes[t.rank - 1] *= t.sizes[t.rank];
  t.strides[t.rank - 1] = 1;
  t.sizes[t.rank] = 1;
}

/// Merges the trailing axes of views of one shape, as far as all of them are contiguous there.
template <class... Views>
void merge_contiguous_axes(Views&... views) {
  while ((can_merge_last_axes(views) && ...)) (merge_last_axes(views), ...);
}

/// body(row, begin, n) for elements [begin, begin + n) of every row of `shape`. `weight`, a power of two up
/// to 64, is the cost of an element in units of a load and a store.
template <class Body>
void for_spans(CpuContext& context, const TensorView& shape, int64_t weight, const Body& body) {
  const int64_t width = shape.rank > 0 ? shape.size(-1) : 1;
  const int64_t longest = kGrainElements / weight;
  const int64_t pieces = (width + longest - 1) / longest;  // of one row
  for_rows(context, rows_of(shape) * pieces, std::min(width, longest) * weight, [&](int64_t i) {
    const int64_t begin = i % pieces * longest;
    body(i / pieces, begin, std::min(longest, width - begin));
  });
}

/// n contiguous elements from one dtype to another; the bits stay as they are when the dtypes agree.
template <class X, class O>
void convert(const X* x, O* out, int64_t n) {
  if constexpr (std::is_same_v<X, O>) {
    if (n > 0) std::memmove(out, x, static_cast<size_t>(n) * sizeof(X));  // out may be x
  } else {
    for_lanes(n, [&](int64_t i, int m) { store_some(out + i, load_some(x + i, m), m); });
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
