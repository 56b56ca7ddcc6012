// What:      rows of stored codes at their places in a packed weight: codes, scales and offsets as they are
//            (formats/quantised.h), or their values (formats/dense.h); zeros where the whole matrix has no
//            such row or input
// Steps:     1. verify row, inputs and groups   2. scale and offset of each group   3. codes
// Mapping:   panels are dealt to threads
// Cost:      at load only; some nanoseconds for an element
// Numerics:  codes are exact. Values are rounded as by dequantize and cast. NaN is an execution error
#include "ops/pack_stored/pack_stored.h"

#include "cpu/rows.h"
#include "cpu/simd.h"
#include "cpu/stored_rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

void put_bits(uint8_t* to, uint32_t bits, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i++) to[i] = static_cast<uint8_t>(bits >> (8 * i));
}

/// A column of a panel of codes.
template <class Format>
struct CodeColumn {
  using Weight = Quantised<Format::kCodes>;
  const StoredData& s;
  const FormatNumbers& numbers;
  const PanelLayout& at;
  int64_t inputs, column;
  uint8_t* panel;

  /// Element (g, column) of a plane of `bytes` each.
  uint8_t* in_plane(int64_t plane, int64_t g, int64_t bytes) const {
    return panel + plane + (g * Weight::kPanelRows + column) * bytes;
  }

  void put_scale(int64_t row, int64_t g, int64_t stored_g) const {
    if constexpr (requires { &Format::outer_factor; }) {
      put_bits(in_plane(0, g * numbers.group / kOuterGroup, 2), Format::outer_factor(s, row, stored_g), 2);
      *in_plane(at.inner_scales, g, 1) = static_cast<uint8_t>(Format::inner_factor(s, row, stored_g));
    } else {
      const int64_t bytes = scale_bytes(numbers.scale);
      put_bits(in_plane(0, g, bytes), Format::factor_bits(s, row, stored_g), bytes);
    }
  }
  void put_offset(int64_t row, int64_t g, int64_t stored_g) const {
    if (numbers.offset == OffsetType::zero)
      *in_plane(at.offsets, g, 1) = static_cast<uint8_t>(Format::zero(s, row, stored_g));
    if constexpr (requires { &Format::outer_minimum; }) {
      put_bits(in_plane(at.offsets, g * numbers.group / kOuterGroup, 2),
               Format::outer_minimum(s, row, stored_g), 2);
      *in_plane(at.inner_offsets, g, 1) = static_cast<uint8_t>(Format::inner_minimum(s, row, stored_g));
    } else if constexpr (Format::kHasMinimum) {
      put_bits(in_plane(at.offsets, g, 2), Format::minimum_bits(s, row, stored_g), 2);
    }
  }

  /// Of row i of the stored ones.
  void fill(int64_t i) const {
    const int64_t row = stored_row(s, i), each = numbers.group == 0 ? inputs : numbers.group;
    for (int64_t g = 0; g < at.groups; g++) {
      const int64_t first = g * each, end = std::min(first + each, inputs);
      if (first == end) continue;                          // a weight without inputs
      const int64_t stored_g = group_of(row, first, end);  // 1.
      require_numbers<Format>(s, row, stored_g);
      put_scale(row, g, stored_g);  // 2.
      put_offset(row, g, stored_g);
      s.k_order ? put_ordered(row, first, end) : put_codes(row, first, end);  // 3.
      if (g + 1 == at.groups) fill_codes(inputs, Format::zero(s, row, stored_g));
    }
  }

  /// The stored group of all inputs [first, end).
  int64_t group_of(int64_t row, int64_t first, int64_t end) const {
    const int64_t group = stored_group_of(s, stored_input(s, first));
    const bool is_listed = s.k_order || s.g_idx;
    for (int64_t j = is_listed ? first + 1 : end - 1; j < end; j++) {
      if (stored_group_of(s, stored_input(s, j)) != group) {
        fail_execution("inputs ", first, " to ", end - 1, " of stored row ", row,
                       " have scales of several groups");
      }
    }
    return group;
  }

  void put_ordered(int64_t row, int64_t first, int64_t end) const {
    for (int64_t j = first; j < end; j++) {
      Weight::put_code(panel + at.codes, column, j, stored_code<Format>(s, row, stored_input(s, j)));
    }
  }
  void put_codes(int64_t row, int64_t first, int64_t end) const {
    const StoredData source = s;  // of this function alone: bytes that are written could be anything else
    uint8_t* const to = panel + at.codes;
    const int64_t to_column = column;
    int64_t j = first;
    if constexpr (Weight::kIsNibble) {  // both nibbles of a byte at once
      for (; j % 32 == 0 && j + 32 <= end; j += 32) {
        for (int64_t i = j; i < j + 16; i++) {
          const int64_t k = source.first_input + i;
          const int32_t low = Format::code(source, row, k), high = Format::code(source, row, k + 16);
          to[Weight::code_at(to_column, i)] = static_cast<uint8_t>(low | high << 4);
        }
      }
    }
    for (; j < end; j++) {
      const int32_t code = Format::code(source, row, source.first_input + j);
      if (is_nan_code<Format::kCodes>(code)) stored_code<Format>(s, row, s.first_input + j);  // says so
      Weight::put_code(to, to_column, j, code);
    }
  }

  /// Of a row that there is not.
  void fill_zeros() const {
    for (int64_t g = 0; g < at.groups; g++) {
      const int64_t bytes = has_two_levels(numbers.scale) ? 2 : scale_bytes(numbers.scale);
      const int64_t step = has_two_levels(numbers.scale) ? kOuterGroup / numbers.group : 1;
      put_bits(in_plane(0, g / step, bytes), 0, bytes);
      if (step > 1) *in_plane(at.inner_scales, g, 1) = 0;
      if (numbers.offset == OffsetType::zero) *in_plane(at.offsets, g, 1) = 0;
      if (numbers.offset == OffsetType::min) put_bits(in_plane(at.offsets, g, 2), 0, 2);
      if (numbers.offset != OffsetType::f16u8) continue;
      put_bits(in_plane(at.offsets, g / step, 2), 0, 2);
      *in_plane(at.inner_offsets, g, 1) = 0;
    }
    fill_codes(0, 0);
  }
  void fill_codes(int64_t from, int32_t code) const {
    for (int64_t k = from; k < Weight::padded_inputs(inputs); k++)
      Weight::put_code(panel + at.codes, column, k, code);
  }
};

template <class Format>
void pack_codes(const PackStoredParams& p, const StoredData& s, int64_t panel) {
  using Weight = Quantised<Format::kCodes>;
  const PanelLayout at = Weight::layout(p.out.inputs, p.out.numbers);
  uint8_t* to = p.out.data.as<uint8_t>() + panel * at.bytes;
  for (int64_t column = 0; column < Weight::kPanelRows; column++) {
    const int64_t source = p.part().source_row(panel * Weight::kPanelRows + column);
    const CodeColumn<Format> place{s, p.out.numbers, at, p.out.inputs, column, to};
    if (source == PartOfWeight::kZeros) place.fill_zeros();
    if (source >= 0) place.fill(source);
  }
}

template <class Format, class X>
void pack_values(const PackStoredParams& p, const StoredData& s, int64_t panel) {
  constexpr int64_t kRows = Dense::kPanelRows, u = Dense::k_together(DTypeOf<X>::value);
  const int64_t pitch = p.out.data.size(2);
  X* to = p.out.data.as<X>() + panel * kRows * pitch;
  for (int64_t column = 0; column < kRows; column++) {
    const int64_t source = p.part().source_row(panel * kRows + column);
    if (source == PartOfWeight::kOthers) continue;
    const int64_t row = source < 0 ? -1 : stored_row(s, source);
    for (int64_t k = 0; k < pitch; k++) {
      const float value = row < 0 || k >= p.out.inputs ? 0 : stored_element<Format>(s, row, k);
      put(to + (k / u * kRows + column) * u + k % u, value);
    }
  }
}

}  // namespace

void pack_stored(const PackStoredParams& p, CpuContext& context) {
  const StoredData s = stored_data(p.stored);
  const PartOfWeight::Range range = p.part().panels();
  dispatch_stored(p.stored.format, [&]<class Format>(Format) {
    for_rows(context, range.end - range.first, 64 * p.out.inputs, [&](int64_t i) {
      if (p.out.format != WeightFormat::dense) return pack_codes<Format>(p, s, range.first + i);
      dispatch_float(p.out.data.dtype, [&]<class X>(X) { pack_values<Format, X>(p, s, range.first + i); });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
