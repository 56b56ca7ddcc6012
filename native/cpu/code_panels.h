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
  if constexpr (codes == Codes::fp8) {
    const vu top = word << (24 - 8 * byte);
    const vi wide = load_as<vi>(&top) >> 4 & splat(static_cast<int32_t>(0x87f00000));
    return load_as<vf>(&wide) * 0x1p120f;
  }
  const vu bits = word >> (8 * byte) & 0xffu;
  if constexpr (codes == Codes::int4) return __builtin_convertvector(load_as<vi>(&bits) - zero, vf);
  const vu wide = (bits & 7u) << 22 | (bits & 8u) << 28;
  return load_as<vf>(&wide) * 0x1p126f;
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

#if defined(__AVX512BW__)
/// bf16 bits of codes: e4m3 without its sign, e2m1, and integers less 16.
template <Codes codes>
struct Bf16Table {
  constexpr Bf16Table() {
    for (int i = 0; i < 128; i++) {
      const float value = codes == Codes::fp8   ? e4m3_value(static_cast<uint32_t>(i))
                          : codes == Codes::fp4 ? e2m1_value(static_cast<uint32_t>(i))
                                                : static_cast<float>(i - 16);
      bits[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
    }
  }
  alignas(64) uint16_t bits[128]{};
};

/// Two pairs of inputs of 16 rows: four bytes in each lane, of int4 less `zeros`, by look-up instead of
/// arithmetic.
template <Codes codes>
WARPLOOP_INLINE void store_looked_up(vu word, vu zeros, bf16_t* out) {
  static constexpr Bf16Table<codes> kTable;
  if constexpr (codes == Codes::int4) word = (word | 0x10101010u) - zeros;  // no byte borrows
  for (uint32_t pair = 0; pair < 2; pair++) {
    // Bytes 2 pair and 2 pair + 1 of each lane, 16 bits each.
    const __m128i places = _mm_add_epi8(_mm_set_epi32(0x800d800c, 0x80098008, 0x80058004, 0x80018000),
                                        _mm_set1_epi16(static_cast<short>(2 * pair)));
    const __m512i wide = _mm512_shuffle_epi8(reinterpret_cast<__m512i>(word), _mm512_broadcast_i32x4(places));
    const auto part = [&](int i) { return load_as<__m512i>(kTable.bits + 32 * i); };
    __m512i bits;
    if constexpr (codes == Codes::fp8) {
      const __m512i low = _mm512_permutex2var_epi16(part(0), wide, part(1));
      const __m512i high = _mm512_permutex2var_epi16(part(2), wide, part(3));
      const __mmask32 is_high = _mm512_test_epi16_mask(wide, _mm512_set1_epi16(0x40));
      const __m512i sign = _mm512_slli_epi16(_mm512_and_si512(wide, _mm512_set1_epi16(0x80)), 8);
      bits = _mm512_or_si512(_mm512_mask_blend_epi16(is_high, low, high), sign);
    } else {
      bits = _mm512_permutexvar_epi16(wide, part(0));
    }
    std::memcpy(out + pair * 2 * kPanel, &bits, sizeof bits);
  }
}
#endif

/// Four inputs of a panel: the bytes of codes of vector v, a nibble in each of them.
template <Codes codes, class W>
WARPLOOP_INLINE void unpack_four(vu word, vi zeros, int v, W* out) {
#if defined(__AVX512BW__)
  if constexpr (codes != Codes::int8 && std::is_same_v<W, bf16_t>)
    return store_looked_up<codes>(word, load_as<vu>(&zeros) * 0x01010101u, out);
#endif
  vf numbers[4];
  for (int byte = 0; byte < 4; byte++) numbers[byte] = byte_number<codes>(word, byte, zeros);
  store_four(out, v, numbers);
}

/// Bytes of codes ahead of which a panel is fetched.
inline constexpr int64_t kFetchAhead = 4096;

/// Inputs [first, end) of a panel as numbers of W, all exact; `first` is a multiple of 32, and as many follow
/// as fill a block.
template <Codes codes, class W>
void unpack_panel(const CodeWeight& w, const uint8_t* panel, int64_t first, int64_t end, W* out) {
  constexpr bool kIsNibble = Quantised<codes>::kIsNibble;
  const int64_t group = w.group();
  PanelInts zeros = panel_zeros<codes>(w, panel, first / group);
  int64_t zeros_end = (first / group + 1) * group;
  const uint8_t* from = panel + w.at.codes + Quantised<codes>::code_at(0, first);
  for (int64_t k = first; k < end; k += 16, out += 16 * kPanel) {
    if (k >= zeros_end) {  // groups are multiples of 16
      zeros = panel_zeros<codes>(w, panel, k / group);
      zeros_end += group;
    }
    const bool is_high = kIsNibble && k % 32 != 0;
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      for (int v = 0; v < kPanelVectors; v++) {
        const uint8_t* at = from + j * 4 * kPanel + v * 4 * kLanes;
        if (v == 0) __builtin_prefetch(at + kFetchAhead, 0, 2);
        vu word = load_as<vu>(at);
        if constexpr (kIsNibble) word = word >> (is_high ? 4 : 0) & 0x0f0f0f0fu;
        unpack_four<codes>(word, zeros.v[v], v, out + j * 4 * kPanel);
      }
    }
    if (!kIsNibble || is_high) from += 16 * kPanel;
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
