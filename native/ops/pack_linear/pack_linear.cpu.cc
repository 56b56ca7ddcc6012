// What:      out[panel][k / u][column][k % u] = weight[row(panel, column)][k], zero where there is no such
//            row or k
// Mapping:   panels are dealt to threads
// Limits:    moves bits, so one instance per element size serves all dtypes
#include "ops/pack_linear/pack_linear.h"

#include "cpu/cpu_context.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// One panel: 16 rows are read side by side, so that the panel is written front to back.
template <class Bits, int U>
void pack_panel(const PackLinearParams& p, int64_t panel, Bits* out) {
  const int64_t N = p.weight.size(p.transpose ? 1 : 0), K = p.weight.size(p.transpose ? 0 : 1);
  const int64_t row_stride = p.weight.stride(p.transpose ? 1 : 0),
                k_stride = p.weight.stride(p.transpose ? 0 : 1);
  const Bits* rows[kPanelColumns];  // null: padding
  for (int64_t column = 0; column < kPanelColumns; column++) {
    const int64_t row = weight_row(panel * kPanelColumns + column, N, p.swiglu);
    rows[column] = row < 0 ? nullptr : p.weight.as<Bits>() + row * row_stride;
  }
  for (int64_t k = 0; k < K; k += U) {
    for (const Bits* row : rows) {
      for (int64_t i = k; i < k + U; i++) *out++ = row && i < K ? row[i * k_stride] : Bits{};
    }
  }
}

}  // namespace

void pack_linear(const PackLinearParams& p, CpuContext& context) {
  const int64_t elements = p.out.stride(0);
  parallel_for(context.pool(), p.out.size(0), 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t panel = begin; panel < end; panel++) {
      if (p.out.dtype == DType::f32) {
        pack_panel<uint32_t, 1>(p, panel, p.out.as<uint32_t>() + panel * elements);
      } else if (p.out.dtype == DType::f16) {
        pack_panel<uint16_t, 1>(p, panel, p.out.as<uint16_t>() + panel * elements);
      } else {
        pack_panel<uint16_t, 2>(p, panel, p.out.as<uint16_t>() + panel * elements);
      }
    }
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
