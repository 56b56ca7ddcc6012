// What:      codes and scales of the groups of every row (quantize.h)
// Steps:     1. highest and lowest element   2. scale: of int4 that of the smallest error   3. codes
// Mapping:   rows are dealt to threads; elements pass through a buffer of kSome
// Cost:      at load only. int4: 13 times a product, a rounding and two FMA for each element, about 1 ns
// Numerics:  quantize.h. What is not finite is an execution error
// Source:    Frantar et al.: GPTQ, arXiv 2210.17323, section 2 (MSE grid search over scales)
#include "ops/quantize/quantize.h"

#include "core/error.h"
#include "cpu/codes.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int64_t kSome = 256;
constexpr int kVectors = kSumParts / kLanes;
constexpr int64_t kCost = 64;  // of an element, in loads and stores

/// A group of a row on its way through the buffer.
template <class Format, class X>
struct GroupOfRow {
  const QuantizeParams& p;
  const X* x;  // of the row
  int64_t row, first, end;

  /// fn(values, first, count): elements from `first` on, zeros behind them up to a multiple of kSumParts.
  template <class Fn>
  void for_some(const Fn& fn) const {
    const int64_t stride = p.x.stride(-1);
    float values[kSome];
    for (int64_t begin = first; begin < end; begin += kSome) {
      const int64_t count = std::min(kSome, end - begin);
      for (int64_t j = 0; j < count; j++) values[j] = to_float(x[(begin + j) * stride]);
      for (int64_t j = count; j % kSumParts != 0; j++) values[j] = 0;
      fn(values, begin, count);
    }
  }

  float base() const {  // 1.
    float highest = 0, lowest = 0;
    for_some([&](const float* values, int64_t begin, int64_t count) {
      for (int64_t j = 0; j < count; j++) {
        if (!std::isfinite(values[j]))
          fail_execution("x[", row, ", ", begin + j, "] is not finite: no code stands for it");
        highest = std::max(highest, values[j]);
        lowest = std::min(lowest, values[j]);
      }
    });
    if (std::max(highest, -lowest) < kLeastWeight) return 0;
    return base_scale<Format>(highest, lowest, p.positive);
  }

  static vf code_value(vf x, float inverse) {
    constexpr CodeRange kRange = kCodeRange<Format>;
    return min(max(x * inverse, splat(kRange.least)), splat(kRange.most));
  }

  float best_scale(float base) const {  // 2.
    const DType dtype = p.stored.scales.dtype;
    if (Format::kCodes != Codes::int4) return scale_of_step(base, 0, dtype);
    vf sums[kScaleSteps][kVectors] = {};
    for_some([&](const float* values, int64_t, int64_t count) {
      for (int step = 0; step < kScaleSteps; step++) {
        const float scale = scale_of_step(base, step, dtype), inverse = 1.0f / scale;
        for (int64_t j = 0; j < count; j += kSumParts) {
          for (int v = 0; v < kVectors; v++) {
            const vf number = load(values + j + v * kLanes);
            const vf code = (code_value(number, inverse) + kToInteger) - kToInteger;
            const vf error = fused_multiply_add(code, splat(-scale), number);
            sums[step][v] = fused_multiply_add(error, error, sums[step][v]);
          }
        }
      }
    });
    int best = 0;
    float least = butterfly_sum(sums[0]);
    for (int step = 1; step < kScaleSteps; step++) {
      const float sum = butterfly_sum(sums[step]);
      if (sum < least) best = step;
      least = std::min(least, sum);
    }
    return scale_of_step(base, best, dtype);
  }

  static float butterfly_sum(const vf (&parts)[kVectors]) {
    float sums[kSumParts];
    std::memcpy(sums, parts, sizeof sums);
    for (int half = kSumParts / 2; half > 0; half /= 2)
      for (int i = 0; i < half; i++) sums[i] += sums[i + half];
    return sums[0];
  }

  void put_codes(float inverse, uint8_t* codes) const {  // 3.
    using Code = std::conditional_t<Format::kCodes == Codes::fp8, fp8e4m3_t, int8_t>;
    for_some([&](const float* values, int64_t begin, int64_t count) {
      for (int64_t j = 0; j < count; j += kLanes) {
        const vi numbers = to_codes(code_value(load(values + j), inverse), Code{});
        const int64_t some = std::min<int64_t>(kLanes, count - j);
        for (int64_t i = 0; i < some; i++) {
          const int64_t k = begin + j + i;
          if constexpr (Format::kCodes == Codes::int4) {
            const auto code = static_cast<uint8_t>((numbers[i] + 8) << (k % 2 * 4));
            codes[k / 2] = static_cast<uint8_t>(k % 2 == 0 ? code : codes[k / 2] | code);
          } else {
            codes[k] = static_cast<uint8_t>(numbers[i]);
          }
        }
      }
    });
  }

  static constexpr float kToInteger = 12582912.0f;  // 1.5 * 2^23: sums are rounded to integers
};

template <class Format, class X>
void quantise_row(const QuantizeParams& p, int64_t row) {
  const StoredView& s = p.stored;
  const int64_t K = p.inputs(), groups = s.groups(), each = s.group == 0 ? K : s.group;
  const int64_t row_bytes = Format::code_bytes(1, K);
  uint8_t* codes = s.codes.as<uint8_t>() + row * row_bytes;
  for (int64_t k = (K + 1) / 2; Format::kCodes == Codes::int4 && k < row_bytes; k++) codes[k] = 0;
  for (int64_t g = 0; g < groups; g++) {
    const GroupOfRow<Format, X> group{p, row_at<const X>(p.x, row), row, g * each,
                                      std::min((g + 1) * each, K)};
    const float base = group.base(), scale = base == 0 ? 1.0f : group.best_scale(base);
    dispatch_float(s.scales.dtype, [&]<class S>(S) { put(s.scales.as<S>() + row * groups + g, scale); });
    group.put_codes(base == 0 ? 0.0f : 1.0f / scale, codes);
  }
}

}  // namespace

void quantize(const QuantizeParams& p, CpuContext& context) {
  dispatch_quantised(p.stored.format, [&]<class Format>(Format) {
    dispatch_float(p.x.dtype, [&]<class X>(X) {
      for_rows(context, p.rows(), p.inputs() * kCost, [&](int64_t row) { quantise_row<Format, X>(p, row); });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
