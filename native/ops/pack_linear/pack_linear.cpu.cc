// What:      out[panel][k / u][row % 16][k % u] = weight[row][k] for the rows of weight, zero where the whole
//            matrix has no such row or k (formats/dense.h)
// Mapping:   panels are dealt to threads
// Limits:    moves bits, so one instance per element size serves all dtypes
#include "ops/pack_linear/pack_linear.h"

#include "cpu/cpu_context.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// The row-th of the rows that the outer axes count.
template <class Bits>
const Bits* row_of(const TensorView& weight, int64_t row) {
  int64_t offset = 0;
  for (int axis = weight.rank - 2; axis >= 0; axis--) {
    offset += row % weight.sizes[axis] * weight.strides[axis];
    row /= weight.sizes[axis];
  }
  return weight.as<Bits>() + offset;
}

/// One panel. Where all of it is written, 16 rows are read side by side, so that it is written front to back.
template <class Bits, int U>
void pack_panel(const PackLinearParams& p, int64_t panel, Bits* out) {
  constexpr int64_t kRows = Dense::kPanelRows;
  const int64_t K = p.inputs(), k_stride = p.weight.stride(-1);
  const Bits* rows[kRows];  // null: zeros
  int64_t sources[kRows];
  bool is_whole = true;
  for (int64_t i = 0; i < kRows; i++) {
    sources[i] = p.part().source_row(panel * kRows + i);
    rows[i] = sources[i] < 0 ? nullptr : row_of<Bits>(p.weight, sources[i]);
    is_whole = is_whole && sources[i] != PartOfWeight::kOthers;
  }
  if (is_whole) {
    for (int64_t k = 0; k < K; k += U) {
      for (const Bits* row : rows) {
        for (int64_t i = k; i < k + U; i++) *out++ = row && i < K ? row[i * k_stride] : Bits{};
      }
    }
    return;
  }
  for (int64_t row = 0; row < kRows; row++) {
    if (sources[row] == PartOfWeight::kOthers) continue;
    for (int64_t k = 0; k < K; k += U) {
      Bits* to = out + (k / U * kRows + row) * U;
      for (int64_t i = k; i < k + U; i++) *to++ = rows[row] && i < K ? rows[row][i * k_stride] : Bits{};
    }
  }
}

}  // namespace

void pack_linear(const PackLinearParams& p, CpuContext& context) {
  const TensorView& out = p.out.data;
  const int64_t elements = Dense::kPanelRows * out.stride(1);
  const PartOfWeight::Range range = p.part().panels();
  parallel_for(context.pool(), range.end - range.first, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t panel = range.first + begin; panel < range.first + end; panel++) {
      if (out.dtype == DType::f32) {
        pack_panel<uint32_t, 1>(p, panel, out.as<uint32_t>() + panel * elements);
      } else if (out.dtype == DType::f16) {
        pack_panel<uint16_t, 1>(p, panel, out.as<uint16_t>() + panel * elements);
      } else {
        pack_panel<uint16_t, 2>(p, panel, out.as<uint16_t>() + panel * elements);
      }
    }
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
