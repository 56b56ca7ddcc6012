// Codes and scales of a weight in floats, as a checkpoint would store them.
#pragma once
#include <bit>

#include "core/check.h"
#include "core/fields.h"
#include "formats/stored.h"

namespace warploop {

// How codes are found; every device finds the same. Of a group of a row, in f32, each operation rounded by
// itself:
//   scale = base (1 - step / 40), rounded to the dtype of scales
//   code  = round(x (1 / scale)), to nearest even, then the nearest that there is
// - int8 and fp8: base = max |x| / 127 or 448, step 0.
// - packed4: with base = -y / 8, where y has the largest magnitude, y becomes -8; `positive`: max |x| / 7. Of
//   13 steps the one of the smallest sum of (x - code scale)^2, the first of several. The sum has 32 parts,
//   one for each k modulo 32, in order of k and fused, which are added like lanes of a butterfly. Of weights
//   beyond 1e18, or below 1e-18, squares leave the range of f32: theirs is step 0.
// - A group of elements below kLeastWeight is one of zeros, with scale 1.
inline constexpr float kLeastWeight = 1e-30f;
inline constexpr int kScaleSteps = 13, kSumParts = 32;

/// The range of codes, and what the largest magnitude becomes of them.
struct CodeRange {
  float least, most;
};
template <class Format>
inline constexpr CodeRange kCodeRange = Format::kCodes == Codes::int4   ? CodeRange{-8, 7}
                                        : Format::kCodes == Codes::int8 ? CodeRange{-127, 127}
                                                                        : CodeRange{-448, 448};

/// The scale at step 0. @param highest, lowest of the elements
template <class Format>
WARPLOOP_STORED_FN float base_scale(float highest, float lowest, bool positive) {
  const bool is_above = highest >= -lowest;
  if (Format::kCodes != Codes::int4 || positive)
    return (is_above ? highest : -lowest) / kCodeRange<Format>.most;
  return (is_above ? highest : lowest) * -0.125f;
}
/// Exact in the dtype of the scales.
WARPLOOP_STORED_FN float scale_of_step(float base, int step, DType dtype) {
  const float scale = base * (static_cast<float>(40 - step) * 0.025f);
  if (dtype == DType::f32) return scale;
  const uint32_t bits = std::bit_cast<uint32_t>(scale);
  return std::bit_cast<float>((bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u);
}

/// Calls fn(Format{}) for the formats that are written.
template <class Fn>
void dispatch_quantised(StoredFormat format, const Fn& fn) {
  if (format == StoredFormat::int8) return fn(StoredInt8{});
  if (format == StoredFormat::fp8) return fn(StoredFp8{});
  fn(StoredPacked4{});  // check
}

struct QuantizeParams {
  TensorView x;       // [n, K], or [a, b, K] or [a, b, c, K] with n = a b c; any strides; f32 | bf16 | f16
  StoredView stored;  // int8, fp8 or packed4 with n rows; codes and scales are written. Scales: f32 | bf16
  bool positive;      // no scale below 0

  constexpr int64_t inputs() const { return x.size(-1); }
  constexpr int64_t rows() const {
    int64_t n = 1;
    for (int axis = 0; axis + 1 < x.rank; axis++) n *= x.sizes[axis];
    return n;
  }
};

/// As TypeScript passes them.
inline auto fields(QuantizeParams& p) { return in_order(p.x, p.stored, p.positive); }

void check(const QuantizeParams& p, Check& c);

}  // namespace warploop
