// Weights as ops get them: the list of formats, and a view of a weight in one of them.
#pragma once
#include "core/tensor_view.h"

/// The only list of weight formats. One row each: name, and the struct that describes it (formats/<name>.h,
/// or formats/quantised.h; included by formats/formats.h). lib/ops/linearWeight.ts has the same order.
#define WARPLOOP_WEIGHT_FORMATS(FORMAT) \
  FORMAT(dense, Dense)                  \
  FORMAT(int8, Int8)                    \
  FORMAT(int4, Int4)                    \
  FORMAT(fp4, Fp4)                      \
  FORMAT(fp8, Fp8)

namespace warploop {

enum class WeightFormat : uint8_t {
#define WARPLOOP_FORMAT(name, Name) name,
  WARPLOOP_WEIGHT_FORMATS(WARPLOOP_FORMAT)
#undef WARPLOOP_FORMAT
};
#define WARPLOOP_FORMAT(name, Name) +1
inline constexpr int kWeightFormatCount = 0 WARPLOOP_WEIGHT_FORMATS(WARPLOOP_FORMAT);
#undef WARPLOOP_FORMAT

constexpr const char* name_of(WeightFormat format) {
  constexpr const char* kNames[] = {
#define WARPLOOP_FORMAT(name, Name) #name,
      WARPLOOP_WEIGHT_FORMATS(WARPLOOP_FORMAT)
#undef WARPLOOP_FORMAT
  };
  return kNames[static_cast<int>(format)];
}
constexpr unsigned format_bit(WeightFormat format) { return 1u << static_cast<int>(format); }

/// What the scales of a weight of codes are; two names: a product of two levels. The order of `scaleTypes` in
/// lib/ops/linearWeight.ts.
enum class ScaleType : uint8_t { f32, f16, bf16, e8m0, f16u8, f16s8 };
inline constexpr int kScaleTypeCount = 6;
/// Beside them: a zero point in codes, or a minimum that is subtracted. The order of `offsetTypes` there.
enum class OffsetType : uint8_t { none, zero, min, f16u8 };
inline constexpr int kOffsetTypeCount = 4;

/// What products make of x before: nothing, or bytes with a scale for each few inputs. The order of
/// `activationTypes` there.
enum class Activation : uint8_t { float_, int8 };
inline constexpr int kActivationCount = 2;
constexpr unsigned activation_bit(Activation a) { return 1u << static_cast<int>(a); }

/// Of a weight of codes; all 0 of a dense one.
struct FormatNumbers {
  int64_t group;  // inputs that share a scale; 0: all
  ScaleType scale;
  OffsetType offset;
  Activation activation;
};

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
  FormatNumbers numbers;
  WeightFormat format;
  bool swiglu;

  constexpr WeightShape shape() const { return {data.size(0), outputs, inputs, swiglu}; }
};

}  // namespace warploop
