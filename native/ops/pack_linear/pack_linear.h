// Brings a weight matrix into the layout that linear and groupedLinear read. Runs once, at load.
//
// CPU:  panels of 16 outputs, k running inside a panel (cpu/gemm.h): element (panel, k / u, column, k % u).
// CUDA: the same bytes hold plain rows [16 panels, Kp] in the order of the panels, Kp = K rounded up to u:
//       contiguous in k, as asynchronous copies and matrix loads want it, with gate and up of the same
//       outputs 16 rows apart.
#pragma once
#include "core/check.h"
#include "core/tensor_view.h"

namespace warploop {

inline constexpr int64_t kPanelColumns = 16;

/// k values that a panel keeps side by side.
constexpr int64_t pairs_of(DType dtype) { return dtype == DType::bf16 ? 2 : 1; }

/// Panels of a packed weight with N outputs; with `swiglu`, N/2 gate and N/2 up rows are padded separately.
constexpr int64_t panels_of(int64_t N, bool swiglu) {
  return swiglu ? 2 * ((N / 2 + kPanelColumns - 1) / kPanelColumns) : (N + kPanelColumns - 1) / kPanelColumns;
}

/// Row of the weight behind column `packed_row` % 16 of panel `packed_row` / 16; -1: padding.
constexpr int64_t weight_row(int64_t packed_row, int64_t N, bool swiglu) {
  if (!swiglu) return packed_row < N ? packed_row : -1;
  const int64_t panel = packed_row / kPanelColumns;
  const int64_t row = panel / 2 * kPanelColumns + packed_row % kPanelColumns;  // inside gate or up
  return row < N / 2 ? panel % 2 * (N / 2) + row : -1;
}

struct PackLinearParams {
  TensorView weight;  // [N, K], or [K, N] with transpose; f32 | bf16 | f16, rows strided
  TensorView
      out;  // [panels_of(N, swiglu), ceil(K / u), 16, u], dtype of weight, u = pairs_of(dtype); contiguous
  bool transpose;  // weight is [K, N] (GPT-2's Conv1D)
  bool swiglu;     // rows [0, N/2) are gate, the rest up: their panels alternate
};

void check(const PackLinearParams& p, Check& c);

/// The matcher for a packed weight of shape [panels, ceil(K / u), 16, u].
void check_packed(const char* name, const TensorView& weight, int64_t panels, int64_t K, Check& c);

}  // namespace warploop
