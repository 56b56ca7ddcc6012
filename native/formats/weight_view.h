// Weights as ops get them: the list of formats, and a view of a weight in one of them.
#pragma once
#include "core/tensor_view.h"

/// The only list of weight formats. One row each: name, and the struct that describes it (formats/<name>.h,
/// included by formats/formats.h). lib/ops/linearWeight.ts has the same order.
#define WARPLOOP_WEIGHT_FORMATS(FORMAT) FORMAT(dense, Dense)

namespace warploop {

enum class WeightFormat : uint8_t {
#define WARPLOOP_FORMAT(name, Name) name,
  WARPLOOP_WEIGHT_FORMATS(WARPLOOP_FORMAT)
#undef WARPLOOP_FORMAT
};
#define WARPLOOP_FORMAT(name, Name) +1
inline constexpr int kWeightFormatCount = 0 WARPLOOP_WEIGHT_FORMATS(WARPLOOP_FORMAT);
#undef WARPLOOP_FORMAT

/// What a weight holds, whatever its format: `experts` matrices of `outputs` rows (1: one matrix).
struct WeightShape {
  int64_t experts, outputs, inputs;
  bool swiglu;  // rows [0, outputs / 2) of each are gate, the rest up
};

/// Sizes of the tensor behind a weight. Axis 0 are the experts; what the others mean only the format knows.
struct PackedShape {
  int64_t experts, rows, pitch;
};

struct WeightView {
  TensorView data;  // PackedShape of its format, contiguous
  int64_t outputs, inputs;
  WeightFormat format;
  bool swiglu;

  constexpr WeightShape shape() const { return {data.size(0), outputs, inputs, swiglu}; }
};

}  // namespace warploop
