// The order of rows in a packed weight, whatever its format: panels of 16 rows. With swiglu, panels of gate
// and of up rows take turns, so that gate and up of the same outputs lie 16 rows apart.
#pragma once
#include "formats/weight_view.h"

namespace warploop {

struct Panels {
  static constexpr int64_t kPanelRows = 16;

  /// Rows with those that fill the last panel; of gate and of up rows each by themselves.
  static constexpr int64_t packed_rows(int64_t outputs, bool swiglu) {
    const int64_t halves = swiglu ? 2 : 1;
    return halves * ((outputs / halves + kPanelRows - 1) / kPanelRows * kPanelRows);
  }

  /// Where a row of the weight lies among the packed ones.
  static constexpr int64_t packed_row(int64_t row, int64_t outputs, bool swiglu) {
    if (!swiglu) return row;
    const int64_t half = outputs / 2, is_up = row >= half, inside = row - is_up * half;
    return (inside / kPanelRows * 2 + is_up) * kPanelRows + inside % kPanelRows;
  }

  /// The row of the weight behind a packed one; -1: none.
  static constexpr int64_t weight_row(int64_t packed_row, int64_t outputs, bool swiglu) {
    if (!swiglu) return packed_row < outputs ? packed_row : -1;
    const int64_t panel = packed_row / kPanelRows;
    const int64_t inside = panel / 2 * kPanelRows + packed_row % kPanelRows;
    return inside < outputs / 2 ? panel % 2 * (outputs / 2) + inside : -1;
  }
};

/// Rows [first, first + count) of the weight `out`, which are being packed.
struct PartOfWeight {
  int64_t outputs, first, count;
  bool swiglu;

  /// What a packed row gets: a row of the part, or zeros, or nothing because it belongs to another part.
  static constexpr int64_t kZeros = -1, kOthers = -2;
  constexpr int64_t source_row(int64_t packed_row) const {
    const int64_t row = Panels::weight_row(packed_row, outputs, swiglu);
    if (row < 0) return kZeros;
    return row >= first && row < first + count ? row - first : kOthers;
  }

  /// The panels that the rows fall into, and with swiglu perhaps others between them.
  struct Range {
    int64_t first, end;
  };
  constexpr Range panels() const {
    const int64_t last_row = first + count - 1;
    if (last_row < first) return {0, 0};
    if (swiglu && first < outputs / 2 && last_row >= outputs / 2)
      return {0, Panels::packed_rows(outputs, true) / Panels::kPanelRows};
    return {Panels::packed_row(first, outputs, swiglu) / Panels::kPanelRows,
            Panels::packed_row(last_row, outputs, swiglu) / Panels::kPanelRows + 1};
  }
};

}  // namespace warploop
