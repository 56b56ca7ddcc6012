// What:      codes and scales of the groups of every row (quantize.h)
// Steps:     1. highest and lowest element   2. scale: of int4 that of the smallest error   3. codes
// Mapping:   a warp per group, eight to a block; elements are read again in each step, from the cache
// Resources: no shared memory
// Cost:      at load only: bytes of x; int4 13 times a product, a rounding and two FMA for each element
// Numerics:  quantize.h: the bits of the CPU. What is not finite is an execution error
// Source:    Frantar et al.: GPTQ, arXiv 2210.17323, section 2 (MSE grid search over scales)
#include "ops/quantize/quantize.h"

#include "cuda/device/codes.cuh"
#include "cuda/device/fault.cuh"
#include "cuda/device/vectors.cuh"
#include "cuda/device/warp.cuh"

namespace warploop::cuda {

namespace {

constexpr int kWarps = 8;
constexpr float kToInteger = 12582912.0f;  // 1.5 * 2^23: sums are rounded to integers

struct Quantise {
  Rows x;
  RowShape shape;
  int64_t k_stride, each, groups, items;
  uint8_t* codes;
  void* scales;
  DType scale_dtype;
  bool positive;
  FaultSite not_finite;
};

/// A group of a row, of a warp.
struct GroupOfRow {
  const Quantise& p;
  int64_t row, offset, first, end;

  WARPLOOP_DEVICE float at(int64_t k) const {
    float value[1];
    load_floats(p.x, offset + k * p.k_stride, value);
    return value[0];
  }

  template <class Format>
  WARPLOOP_DEVICE float base() const {  // 1.
    float highest = 0, lowest = 0;
    for (int64_t k = first + lane_index(); k < end; k += kWarpSize) {
      const float value = at(k);
      if (!(fabsf(value) < INFINITY)) raise_fault(p.not_finite, 0, 0, row, k);
      highest = fmaxf(highest, value);
      lowest = fminf(lowest, value);
    }
    highest = max_lanes(highest);
    lowest = -max_lanes(-lowest);
    if (fmaxf(highest, -lowest) < kLeastWeight) return 0;
    return base_scale<Format>(highest, lowest, p.positive);
  }

  template <class Format>
  static WARPLOOP_DEVICE float code_value(float x, float inverse) {
    constexpr CodeRange kRange = kCodeRange<Format>;
    return fminf(fmaxf(x * inverse, kRange.least), kRange.most);
  }

  template <class Format>
  WARPLOOP_DEVICE float best_scale(float base) const {  // 2.
    if (Format::kCodes != Codes::int4) return scale_of_step(base, 0, p.scale_dtype);
    float least = INFINITY, best = 0;
    for (int step = 0; step < kScaleSteps; step++) {
      const float scale = scale_of_step(base, step, p.scale_dtype), inverse = 1.0f / scale;
      float sum = 0;
      for (int64_t k = first + lane_index(); k < end; k += kWarpSize) {
        const float number = at(k), code = (code_value<Format>(number, inverse) + kToInteger) - kToInteger;
        const float error = fmaf(code, -scale, number);
        sum = fmaf(error, error, sum);
      }
      sum = sum_lanes(sum);
      if (step == 0 || sum < least) best = scale;
      least = fminf(least, sum);
    }
    return best;
  }

  template <class Format>
  WARPLOOP_DEVICE void put_codes(float inverse, uint8_t* codes) const {  // 3.
    if constexpr (Format::kCodes == Codes::int4) {
      for (int64_t word = first / 8 + lane_index(); word * 8 < end; word += kWarpSize) {
        uint32_t bits = 0;
        for (int i = 0; i < 8 && word * 8 + i < end; i++) {
          const float code = code_value<Format>(at(word * 8 + i), inverse) + (kToInteger + 8);
          bits |= (std::bit_cast<uint32_t>(code) & 15u) << (4 * i);
        }
        reinterpret_cast<uint32_t*>(codes)[word] = bits;
      }
    } else {
      constexpr DType kDtype = Format::kCodes == Codes::fp8 ? DType::fp8e4m3 : DType::i8;
      for (int64_t k = first + lane_index(); k < end; k += kWarpSize)
        codes[k] = static_cast<uint8_t>(code_of(kDtype, code_value<Format>(at(k), inverse)));
    }
  }
};

template <class Format>
__global__ void __launch_bounds__(kWarps* kWarpSize) quantize_kernel(const __grid_constant__ Quantise p) {
  wait_for_predecessors();
  const int64_t item = static_cast<int64_t>(blockIdx.x) * kWarps + warp_index();
  if (item >= p.items) return;
  const int64_t row = item / p.groups, g = item - row * p.groups, K = p.shape.width;
  const int64_t first = g * p.each, end = first + p.each < K ? first + p.each : K;
  const GroupOfRow group{p, row, offset_of(p.x, place_of(p.shape, row)), first, end};
  const float base = group.template base<Format>();
  const float scale = base == 0 ? 1.0f : group.template best_scale<Format>(base);
  if (lane_index() == 0) {
    if (p.scale_dtype == DType::f32) {
      static_cast<float*>(p.scales)[item] = scale;
    } else {
      static_cast<uint16_t*>(p.scales)[item] = static_cast<uint16_t>(std::bit_cast<uint32_t>(scale) >> 16);
    }
  }
  group.template put_codes<Format>(base == 0 ? 0.0f : 1.0f / scale, p.codes + row * Format::code_bytes(1, K));
}

}  // namespace

void quantize(const QuantizeParams& p, CudaContext& context) {
  const StoredView& s = p.stored;
  const int64_t groups = s.groups(), items = p.rows() * groups;
  if (items == 0) return;
  const Quantise work{
      rows_of(p.x),
      shape_of(p.x),
      p.x.stride(-1),
      s.group == 0 ? p.inputs() : s.group,
      groups,
      items,
      s.codes.as<uint8_t>(),
      s.scales.as<void>(),
      s.scales.dtype,
      p.positive,
      context.fault_site(OpId::quantize, "x[{index}, {column}] is not finite: no code stands for it")};
  dispatch_quantised(s.format, [&]<class Format>(Format) {
    launch<quantize_kernel<Format>>(
        context,
        {.grid = dim3(static_cast<unsigned>((items + kWarps - 1) / kWarps)), .threads = kWarps * kWarpSize},
        work);
  });
}

}  // namespace warploop::cuda
