// What:      out[t] = table[ids[t]], converted to the dtype of out
// Steps:     1. verify the id   2. copy the row, converting
// Mapping:   rows are dealt to threads
// Numerics:  equal dtypes keep every bit; otherwise widening is exact and narrowing rounds to nearest even
// Source:    the definition
#include "ops/embedding/embedding.h"

#include "core/error.h"
#include "cpu/spans.h"
#include "formats/formats.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// A row of panels (formats/dense.h), converted.
template <class X, class O>
void unpack_row(const WeightView& weight, int64_t row, O* out) {
  constexpr int64_t kSome = 256, u = Dense::k_together(DTypeOf<X>::value);
  const int64_t stride = weight.data.stride(1), D = weight.inputs;
  const X* panel = weight.data.as<X>() + row / Dense::kPanelRows * Dense::kPanelRows * stride;
  const X* from = panel + row % Dense::kPanelRows * u;
  X some[kSome];
  for (int64_t first = 0; first < D; first += kSome) {
    const int64_t count = std::min(kSome, D - first);
    for (int64_t k = first; k < first + count; k++)
      some[k - first] = from[k / u * Dense::kPanelRows * u + k % u];
    convert(some, out + first, count);
  }
}

/// A row of panels of codes (formats/quantised.h), as floats.
template <class Format, class O>
void decode_row(const WeightView& weight, int64_t row, O* out) {
  constexpr int64_t kSome = 256;
  const FormatNumbers& n = weight.numbers;
  const PanelLayout at = Format::layout(weight.inputs, n);
  const uint8_t* panel = weight.data.as<uint8_t>() + row / Format::kPanelRows * at.bytes;
  const int64_t column = row % Format::kPanelRows, D = weight.inputs;
  float some[kSome];
  StoredGroup group{};
  int64_t last = -1;
  for (int64_t first = 0; first < D; first += kSome) {
    const int64_t count = std::min(kSome, D - first);
    for (int64_t k = first; k < first + count; k++) {
      const int64_t g = n.group == 0 ? 0 : k / n.group;
      if (g != last) {
        group = {Format::scale(panel, at, n, column, g), Format::minimum(panel, at, n, column, g),
                 Format::zero(panel, at, n, column, g)};
        last = g;
      }
      const int32_t code = Format::code(panel + at.codes, column, k);
      some[k - first] = number_of<Format::kCodes>(code, group.zero) * group.scale - group.minimum;
    }
    convert(some, out + first, count);
  }
}

/// The row of table behind out[t].
int64_t row_of(const EmbeddingParams& p, int64_t t, int64_t V) {
  const int64_t id = p.ids.as<int32_t>()[t];
  if (id < 0 || id >= V) fail_execution("ids[", t, "] = ", id, " is outside [0, V=", V, ")");
  return id;
}

void decode_rows(const EmbeddingParams& p, CpuContext& context) {
  dispatch_format(p.weight.format, [&]<class Format>(Format) {
    if constexpr (!std::is_same_v<Format, Dense>) {
      dispatch_float(p.out.dtype, [&]<class O>(O) {
        for_rows(context, p.ids.size(0), 16 * p.weight.inputs, [&](int64_t t) {
          decode_row<Format>(p.weight, row_of(p, t, p.weight.outputs), row_at<O>(p.out, t));
        });
      });
    }
  });
}

}  // namespace

void embedding(const EmbeddingParams& p, CpuContext& context) {
  const bool is_packed = static_cast<bool>(p.weight.data);
  const int64_t V = is_packed ? p.weight.outputs : p.table.size(0), D = p.out.size(1);
  if (is_packed && p.weight.format != WeightFormat::dense) return decode_rows(p, context);
  dispatch_float(is_packed ? p.weight.data.dtype : p.table.dtype, [&]<class X>(X) {
    dispatch_float(p.out.dtype, [&]<class O>(O) {
      for_rows(context, p.ids.size(0), D, [&](int64_t t) {
        const int64_t id = row_of(p, t, V);  // 1.
        O* out = row_at<O>(p.out, t);
        is_packed ? unpack_row<X>(p.weight, id, out) : convert(row_at<X>(p.table, id), out, D);  // 2.
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
