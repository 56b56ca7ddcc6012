// Row-wise kernels: tensors of rank 1 to 4 seen as rows of their last axis, dealt to threads in pieces worth
// waking for.
#pragma once
#include <algorithm>

#include "core/tensor_view.h"
#include "cpu/cpu_context.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Elements of work below which a second thread costs more than it brings (waking one takes a few
/// microseconds).
inline constexpr int64_t kGrainElements = 16384;

inline int64_t rows_of(const TensorView& t) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < t.rank; i++) rows *= t.sizes[i];
  return rows;
}

/// First element of row `row` (outer axes flattened, outermost slowest).
template <class T>
T* row_at(const TensorView& t, int64_t row) {
  int64_t offset = 0;
  for (int i = t.rank - 2; i >= 0; i--) {
    offset += row % t.sizes[i] * t.strides[i];
    row /= t.sizes[i];
  }
  return t.as<T>() + offset;
}

/// body(row) for every row; `cost` is the number of elements a row touches.
template <class Body>
void for_rows(CpuContext& context, int64_t rows, int64_t cost, const Body& body) {
  const int64_t grain = std::max<int64_t>(1, kGrainElements / std::max<int64_t>(cost, 1));
  parallel_for(context.pool(), rows, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t row = begin; row < end; row++) body(row);
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
