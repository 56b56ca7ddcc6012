#include "formats/stored.h"

namespace warploop {

namespace {

constexpr unsigned kBytes =
    dtype_bit(DType::u8) | dtype_bit(DType::i8) | dtype_bit(DType::i32) | dtype_bit(DType::fp8e4m3);

int64_t bytes_in(const TensorView& t) {
  return static_cast<int64_t>(bytes_of(t.dtype, static_cast<size_t>(t.numel())));
}

/// "stored.scales"
struct Name {
  explicit Name(const char* of, const char* part) : text(std::string(of) + "." + part) {}
  operator const char*() const { return text.c_str(); }
  std::string text;
};

template <class Format>
void check_numbers(const char* name, const StoredView& v, Check& c) {
  const Name inputs(name, "inputs"), group(name, "group"), rows(name, "rows"), scale_rows(name, "scaleRows");
  c.that(v.stored_rows <= kMaxAxis && v.stored_rows % Format::kRowUnit == 0, Name(name, "outputs"),
         Format::kRowUnit == 1 ? "an axis" : "a multiple of 8", v.stored_rows);
  c.that(v.stored_inputs <= kMaxAxis && v.stored_inputs % Format::kBlock == 0, inputs,
         Format::kBlock == 1    ? "an axis"
         : Format::kBlock == 4  ? "a multiple of 4"
         : Format::kBlock == 8  ? "a multiple of 8"
         : Format::kBlock == 32 ? "a multiple of 32"
                                : "a multiple of 256",
         v.stored_inputs);
  if (Format::kGroup != 0) c.that(v.group == Format::kGroup, group, "that of the format", v.group);
  c.that(v.group <= kMaxAxis, group, "at most an axis", v.group);
  c.that(v.scale_rows >= 1 &&
             (Format::kHasScales && !Format::kKMajor ? v.scale_rows <= kMaxAxis : v.scale_rows == 1),
         scale_rows, "at least 1, and 1 where scales follow inputs or lie in blocks", v.scale_rows);
  c.that(v.first_row <= v.stored_rows && v.first_row % Format::kRowUnit == 0, Name(name, "firstRow"),
         "inside the matrix", v.first_row);
  c.that(v.inputs <= v.stored_inputs && v.first_input <= v.stored_inputs - v.inputs, Name(name, "firstInput"),
         "inputs inside the matrix", v.first_input);
  c.that(v.rows <= kMaxAxis, rows, "an axis", v.rows);
  const bool has_versions = v.format == StoredFormat::gptq4 || v.format == StoredFormat::gptq8;
  c.that(v.add_to_zeros == 0 || (has_versions && v.add_to_zeros == 1), Name(name, "addToZeros"),
         "0, or 1 of gptq4 and gptq8", v.add_to_zeros);
}

template <class Format>
void check_codes(const char* name, const StoredView& v, Check& c) {
  const Name codes(name, "codes");
  c.tensor(codes, v.codes).dtype(kBytes).packed();
  const int64_t hand = stored_rows_at_hand(v);
  c.that(bytes_in(v.codes) == Format::code_bytes(hand, v.stored_inputs) && hand % Format::kRowUnit == 0,
         codes, "bytes of whole rows", bytes_in(v.codes));
  c.that(hand <= v.stored_rows - v.first_row, codes, "rows inside the matrix", hand);
  if (!v.row_order)
    c.that(v.rows <= hand, Name(name, "rows"), "as many as there are codes of, or fewer", v.rows);
}

template <class Format>
void check_companions(const char* name, const StoredView& v, Check& c) {
  const Name scales(name, "scales"), zeros(name, "zeros"), g_idx(name, "gIdx");
  const int64_t scale_count = Format::kKMajor
                                  ? v.groups() * v.stored_rows
                                  : (v.stored_rows + v.scale_rows - 1) / v.scale_rows * v.groups();
  if (Format::kHasScales) {
    constexpr bool kIsFp4 = Format::kCodes == Codes::fp4;
    c.tensor(scales, v.scales).dtype(kIsFp4 ? dtype_bit(DType::u8) : kFloats).packed();
    c.that(v.scales.numel() == scale_count, scales, "one for each group of inputs and rows",
           v.scales.numel());
  } else {
    c.that(!v.scales, scales, "none, because blocks have them", "a tensor");
  }
  constexpr int kZeroRows = Format::kZeroRows;
  if (kZeroRows == 0) {
    c.that(!v.zeros, zeros, "none, because the format has none", "a tensor");
  } else {
    const bool is_int8 = kZeroRows == 1;
    const int64_t count = is_int8 ? scale_count : (v.stored_rows + kZeroRows - 1) / kZeroRows * v.groups();
    c.optional(zeros, v.zeros).dtype(dtype_bit(is_int8 ? DType::i8 : DType::i32)).packed();
    if (v.zeros) c.that(v.zeros.numel() == count, zeros, "one for each scale", v.zeros.numel());
  }
  c.that(Format::kHasScales || !v.g_idx, g_idx, "none, because blocks have scales", "a tensor");
  Sym n{"rows", v.rows, name, 0}, K{"K", v.stored_inputs, name, 1};
  c.optional(Name(name, "rowOrder"), v.row_order).dtype(kI32).shape({n}).packed();
  c.optional(Name(name, "kOrder"), v.k_order).dtype(kI32).shape({K}).packed();
  c.optional(g_idx, v.g_idx).dtype(kI32).shape({K}).packed();
}

}  // namespace

int64_t stored_rows_at_hand(const StoredView& v) {
  return dispatch_stored(v.format, [&]<class Format>(Format) {
    // Of several rows: a unit of them may be what fills whole words.
    const int64_t unit = Format::code_bytes(Format::kRowUnit, v.stored_inputs);
    return unit == 0 ? v.stored_rows - v.first_row : bytes_in(v.codes) / unit * Format::kRowUnit;
  });
}

StoredData stored_data(const StoredView& v) {
  return {v.codes.as<const uint8_t>(),
          v.scales.as<const uint8_t>(),
          v.zeros.as<const uint8_t>(),
          v.row_order.as<const int32_t>(),
          v.k_order.as<const int32_t>(),
          v.g_idx.as<const int32_t>(),
          v.stored_rows,
          v.stored_inputs,
          v.group,
          v.groups(),
          v.scale_rows,
          v.first_row,
          stored_rows_at_hand(v),
          v.first_input,
          v.add_to_zeros,
          v.scales.dtype};
}

void check_stored(const char* name, const StoredView& view, Check& c) {
  dispatch_stored(view.format, [&]<class Format>(Format) {
    check_numbers<Format>(name, view, c);
    check_codes<Format>(name, view, c);
    check_companions<Format>(name, view, c);
  });
}

}  // namespace warploop
