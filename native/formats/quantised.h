// The formats of weights that are codes: int8, int4, fp4 and fp8, each with a plane of scales and perhaps one
// of offsets.
//
//     value = (code - zero) scale - minimum     in f32, rounded as in formats/stored.h
//
// Memory:  u8. On the CPU a panel (formats/panels.h) is one stream of bytes,
//              [scales | offsets | codes]
//          each part padded to 64 bytes.
// Scales:  [groups][16] elements of ScaleType, group by group. With two levels: [K / 256][16] f16, padded to
//          64 bytes, then [groups][16] bytes; the scale is their product.
// Offsets: zero: [groups][16] bytes, signed with int8. min: [groups][16] f16. f16u8: as scales.
//          Without one, int4 has the zero 8 where there is no minimum.
// Codes:   int8, fp8   [K / 4][16][4]
//          int4, fp4   [K / 32][4][16][4], a byte being two codes: byte b of vector j the inputs 4 j + b,
//                      low, and 16 + 4 j + b, high. Eight vectors like those of int8 come out of four by a
//                      mask and a shift
//          K is padded to 32 with codes that are zero points. Rows that the weight does not have are 0: their
//          scales and minima are.
#pragma once
#include "core/check.h"
#include "formats/coded_rows.h"
#include "formats/panels.h"
#include "formats/stored.h"

namespace warploop {

/// The most inputs of a weight whose activations become bytes: a row of them has to fit into scratch.
inline constexpr int64_t kMostInt8Inputs = 1 << 20;

/// Inputs that share an outer scale.
inline constexpr int64_t kOuterGroup = 256;

/// Where the parts of a panel begin, in bytes.
struct PanelLayout {
  int64_t groups, outer_groups, inner_scales, offsets, inner_offsets, codes, bytes;
};

template <Codes codes>
struct Quantised : Panels {
  /// What its tensor may hold.
  static constexpr unsigned kStored = dtype_bit(DType::u8);
  static constexpr Codes kCodes = codes;
  static constexpr bool kIsNibble = codes == Codes::int4 || codes == Codes::fp4;

  WARPLOOP_STORED_FN int64_t padded(int64_t bytes) { return (bytes + 63) / 64 * 64; }
  /// Inputs with those that fill a block.
  WARPLOOP_STORED_FN int64_t padded_inputs(int64_t inputs) { return (inputs + 31) / 32 * 32; }

  WARPLOOP_STORED_FN PanelLayout layout(int64_t inputs, const FormatNumbers& n) {
    PanelLayout at{};
    at.groups = n.group == 0 ? 1 : (inputs + n.group - 1) / n.group;
    at.outer_groups = (inputs + kOuterGroup - 1) / kOuterGroup;
    const int64_t outer = padded(at.outer_groups * kPanelRows * 2);
    at.inner_scales = has_two_levels(n.scale) ? outer : 0;
    at.offsets = at.inner_scales + padded(at.groups * kPanelRows * scale_bytes(n.scale));
    at.inner_offsets = at.offsets + (n.offset == OffsetType::f16u8 ? outer : 0);
    at.codes = at.inner_offsets + padded(at.groups * kPanelRows * offset_bytes(n.offset));
    at.bytes = at.codes + padded_inputs(inputs) * kPanelRows / (kIsNibble ? 2 : 1);
    return at;
  }

  static constexpr PackedShape packed_shape(DType, const FormatNumbers& n, const WeightShape& w) {
    const int64_t on_cpu = layout(w.inputs, n).bytes / kPanelRows;
    return {w.experts, packed_rows(w.outputs, w.swiglu),
            std::max(on_cpu, CodedRows::row_bytes(codes, w.inputs, n))};
  }

  /// Which scales and offsets it can have.
  static constexpr bool takes(const FormatNumbers& n) {
    constexpr bool is_float = codes == Codes::fp4 || codes == Codes::fp8;
    if (n.group % 16 != 0 || (is_float && n.offset != OffsetType::none)) return false;
    if (codes == Codes::fp8 && n.activation == Activation::int8) return false;
    const bool is_split = has_two_levels(n.scale) || n.offset == OffsetType::f16u8;
    return !is_split || (n.group > 0 && kOuterGroup % n.group == 0);
  }

  /// Dtypes that the activations of a product may have.
  static constexpr unsigned activations(DType) { return kFloats; }

  /// The byte of a code, from the first code of the panel on; a nibble is in its high half behind `is_high`.
  WARPLOOP_STORED_FN int64_t code_at(int64_t column, int64_t k) {
    if constexpr (!kIsNibble) return (k / 4 * kPanelRows + column) * 4 + k % 4;
    return k / 32 * 256 + (k % 16 / 4 * kPanelRows + column) * 4 + k % 4;
  }
  WARPLOOP_STORED_FN bool is_high(int64_t k) { return kIsNibble && k % 32 >= 16; }

  WARPLOOP_STORED_FN int32_t code(const uint8_t* panel_codes, int64_t column, int64_t k) {
    const uint8_t byte = panel_codes[code_at(column, k)];
    if constexpr (codes == Codes::int8) return static_cast<int8_t>(byte);
    if constexpr (!kIsNibble) return byte;
    return is_high(k) ? byte >> 4 : byte & 15;
  }
  WARPLOOP_STORED_FN void put_code(uint8_t* panel_codes, int64_t column, int64_t k, int32_t code) {
    uint8_t& byte = panel_codes[code_at(column, k)];
    if constexpr (kIsNibble) {
      byte = static_cast<uint8_t>(is_high(k) ? (byte & 15) | code << 4 : (byte & 0xf0) | code);
    } else {
      byte = static_cast<uint8_t>(code);
    }
  }

  WARPLOOP_STORED_FN float scale(const uint8_t* panel, const PanelLayout& at, const FormatNumbers& n,
                                 int64_t column, int64_t g) {
    const int64_t i = g * kPanelRows + column;
    if (n.scale == ScaleType::e8m0) return e8m0_value(panel[i]);
    if (n.scale == ScaleType::f16) return f16_value(bits_16(panel + 2 * i));
    const uint32_t low = has_two_levels(n.scale) ? 0 : bits_16(panel + scale_bytes(n.scale) * i);
    if (n.scale == ScaleType::bf16) return std::bit_cast<float>(low << 16);
    if (n.scale == ScaleType::f32) return std::bit_cast<float>(low | bits_16(panel + 4 * i + 2) << 16);
    const uint8_t inner = panel[at.inner_scales + i];
    const int32_t factor = n.scale == ScaleType::f16s8 ? static_cast<int8_t>(inner) : inner;
    return outer(panel, n, column, g) * static_cast<float>(factor);
  }
  WARPLOOP_STORED_FN int32_t zero(const uint8_t* panel, const PanelLayout& at, const FormatNumbers& n,
                                  int64_t column, int64_t g) {
    if (n.offset == OffsetType::none) return codes == Codes::int4 ? 8 : 0;
    if (n.offset != OffsetType::zero) return 0;
    const uint8_t byte = panel[at.offsets + g * kPanelRows + column];
    return codes == Codes::int8 ? static_cast<int8_t>(byte) : byte;
  }
  WARPLOOP_STORED_FN float minimum(const uint8_t* panel, const PanelLayout& at, const FormatNumbers& n,
                                   int64_t column, int64_t g) {
    const int64_t i = g * kPanelRows + column;
    if (n.offset == OffsetType::min) return f16_value(bits_16(panel + at.offsets + 2 * i));
    if (n.offset != OffsetType::f16u8) return 0;
    return outer(panel + at.offsets, n, column, g) * static_cast<float>(panel[at.inner_offsets + i]);
  }

 private:
  WARPLOOP_STORED_FN float outer(const uint8_t* plane, const FormatNumbers& n, int64_t column, int64_t g) {
    return f16_value(bits_16(plane + 2 * (g * n.group / kOuterGroup * kPanelRows + column)));
  }
};

using Int8 = Quantised<Codes::int8>;
using Int4 = Quantised<Codes::int4>;
using Fp4 = Quantised<Codes::fp4>;
using Fp8 = Quantised<Codes::fp8>;

}  // namespace warploop
