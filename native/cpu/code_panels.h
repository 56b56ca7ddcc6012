// Panels of codes (formats/quantised.h) as vectors: scales, offsets, and codes unpacked into numbers.
#pragma once
#include "cpu/codes.h"
#include "cpu/gemm.h"
#include "formats/quantised.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// A weight of codes, one matrix of it.
struct CodeWeight {
  const uint8_t* panels;
  PanelLayout at;
  FormatNumbers numbers;
  int64_t inputs;

  const uint8_t* panel(int64_t index) const { return panels + index * at.bytes; }
  int64_t group() const { return numbers.group == 0 ? std::max<int64_t>(inputs, 1) : numbers.group; }
  bool has_minima() const { return numbers.offset == OffsetType::min || numbers.offset == OffsetType::f16u8; }
};

template <class Format>
CodeWeight code_weight(const WeightView& weight, int64_t matrix) {
  const uint8_t* data = weight.data.as<const uint8_t>() + matrix * weight.data.stride(0);
  return {data, Format::layout(weight.inputs, weight.numbers), weight.numbers, weight.inputs};
}

/// A zero point for each of a panel's rows.
struct PanelInts {
  vi v[kPanelVectors];
};

/// kLanes bytes as integers.
WARPLOOP_INLINE vi load_unsigned(const uint8_t* p) {
#if defined(__AVX512F__)
  return reinterpret_cast<vi>(_mm512_cvtepu8_epi32(load_as<__m128i>(p)));
#elif defined(__AVX2__)
  return reinterpret_cast<vi>(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  const vu wide = __builtin_convertvector(__builtin_convertvector(load_as<vub>(p), vus), vu);
  return load_as<vi>(&wide);
#endif
}
WARPLOOP_INLINE vi load_signed(const uint8_t* p) {
  const vi wide = load_unsigned(p);
  return wide << 24 >> 24;
}

/// Element `i` of a plane on, each of `type`.
WARPLOOP_INLINE vf load_scales(const uint8_t* plane, int64_t i, ScaleType type) {
  switch (type) {
    case ScaleType::f32:
      return load(reinterpret_cast<const float*>(plane) + i);
    case ScaleType::bf16:
      return load(reinterpret_cast<const bf16_t*>(plane) + i);
    case ScaleType::e8m0: {
      const vi exponents = load_unsigned(plane + i);
      const vi bits = exponents == 0 ? splat(0x00400000) : exponents << 23;
      return load_as<vf>(&bits);
    }
    default:
      return load(reinterpret_cast<const f16_t*>(plane) + i);
  }
}

/// The scales of group g, one for each of a panel's rows.
inline void panel_scales(const CodeWeight& w, const uint8_t* panel, int64_t g, float* out) {
  for (int v = 0; v < kPanelVectors; v++) {
    const int64_t i = g * kPanel + v * kLanes;
    if (!has_two_levels(w.numbers.scale)) {
      store(out + v * kLanes, load_scales(panel, i, w.numbers.scale));
      continue;
    }
    const uint8_t* inner = panel + w.at.inner_scales + i;
    const vi factors = w.numbers.scale == ScaleType::f16s8 ? load_signed(inner) : load_unsigned(inner);
    const int64_t outer = g * w.numbers.group / kOuterGroup * kPanel + v * kLanes;
    store(out + v * kLanes, load_scales(panel, outer, ScaleType::f16) * __builtin_convertvector(factors, vf));
  }
}

/// The minima likewise, where there are some.
inline void panel_minima(const CodeWeight& w, const uint8_t* panel, int64_t g, float* out) {
  const uint8_t* plane = panel + w.at.offsets;
  for (int v = 0; v < kPanelVectors; v++) {
    const int64_t i = g * kPanel + v * kLanes;
    if (w.numbers.offset == OffsetType::min) {
      store(out + v * kLanes, load_scales(plane, i, ScaleType::f16));
      continue;
    }
    const vi factors = load_unsigned(panel + w.at.inner_offsets + i);
    const int64_t outer = g * w.numbers.group / kOuterGroup * kPanel + v * kLanes;
    store(out + v * kLanes, load_scales(plane, outer, ScaleType::f16) * __builtin_convertvector(factors, vf));
  }
}

template <Codes codes>
PanelInts panel_zeros(const CodeWeight& w, const uint8_t* panel, int64_t g) {
  PanelInts zeros;
  for (int v = 0; v < kPanelVectors; v++) {
    zeros.v[v] = splat(codes == Codes::int4 && w.numbers.offset == OffsetType::none ? 8 : 0);
    if (w.numbers.offset != OffsetType::zero) continue;
    const uint8_t* at = panel + w.at.offsets + g * kPanel + v * kLanes;
    zeros.v[v] = codes == Codes::int8 ? load_signed(at) : load_unsigned(at);
  }
  return zeros;
}

/// Byte `byte` of every word, as the number that it means: an integer of at most 9 bits, or a float of 4.
template <Codes codes>
WARPLOOP_INLINE vf byte_number(vu word, int byte, vi zero) {
  if constexpr (codes == Codes::int8) {
    const vu top = word << (24 - 8 * byte);
    return __builtin_convertvector((load_as<vi>(&top) >> 24) - zero, vf);
  }
  const vu bits = word >> (8 * byte) & 0xffu;
  if constexpr (codes == Codes::int4) return __builtin_convertvector(load_as<vi>(&bits) - zero, vf);
  constexpr bool kIsFp8 = codes == Codes::fp8;
  const vu wide =
      kIsFp8 ? (bits & 0x7fu) << 20 | (bits & 0x80u) << 24 : (bits & 7u) << 22 | (bits & 8u) << 28;
  return load_as<vf>(&wide) * (kIsFp8 ? 0x1p120f : 0x1p126f);
}

/// Four numbers of each row, inputs k to k + 3 of a panel of `W` (cpu/gemm.h) that begins at `out`.
WARPLOOP_INLINE void store_four(bf16_t* out, int v, const vf (&numbers)[4]) {
  for (int pair = 0; pair < 2; pair++) {
    const vu low = load_as<vu>(&numbers[2 * pair]) >> 16;
    const vu both = low | (load_as<vu>(&numbers[2 * pair + 1]) & 0xffff0000u);
    std::memcpy(out + pair * 2 * kPanel + v * 2 * kLanes, &both, sizeof both);
  }
}
WARPLOOP_INLINE void store_four(f16_t* out, int v, const vf (&numbers)[4]) {
  for (int i = 0; i < 4; i++) store(out + i * kPanel + v * kLanes, numbers[i]);
}

/// Inputs [first, end) of a panel as numbers of W, all exact; `first` is a multiple of 32, and as many follow
/// as fill a block.
template <Codes codes, class W>
void unpack_panel(const CodeWeight& w, const uint8_t* panel, int64_t first, int64_t end, W* out) {
  constexpr bool kIsNibble = Quantised<codes>::kIsNibble;
  const int64_t group = w.group();
  PanelInts zeros = panel_zeros<codes>(w, panel, first / group);
  int64_t zeros_end = (first / group + 1) * group;
  for (int64_t k = first; k < end; k += 4, out += 4 * kPanel) {
    if (k >= zeros_end) {  // groups are multiples of 16
      zeros = panel_zeros<codes>(w, panel, k / group);
      zeros_end += group;
    }
    const uint8_t* at = panel + w.at.codes + Quantised<codes>::code_at(0, k);
    for (int v = 0; v < kPanelVectors; v++) {
      vu word = load_as<vu>(at + v * 4 * kLanes);
      if constexpr (kIsNibble) word = (k % 32 >= 16 ? word >> 4 : word) & 0x0f0f0f0fu;
      vf numbers[4];
      for (int byte = 0; byte < 4; byte++) numbers[byte] = byte_number<codes>(word, byte, zeros.v[v]);
      store_four(out, v, numbers);
    }
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
