// What:      out = (code - zero) scale - minimum of stored rows, converted to the dtype of out
// Steps:     1. verify row, inputs and groups   2. scale, zero and minimum of each group   3. every element
// Mapping:   rows are dealt to threads
// Cost:      at load only; some nanoseconds for an element
// Numerics:  f32, rounded once (formats/stored.h), then to nearest even. NaN is an execution error
// Source:    the formats' own documents, see formats/stored.h
#include "ops/dequantize/dequantize.h"

#include "cpu/spans.h"
#include "cpu/stored_rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int64_t kCost = 16;  // of an element, in loads and stores

template <class Format, class O>
void dequantize_row(const StoredData& s, int64_t i, int64_t inputs, O* out) {
  constexpr int64_t kSome = 256;
  const int64_t row = stored_row(s, i);
  float some[kSome];
  int64_t last = -1;
  StoredGroup group{};
  for (int64_t first = 0; first < inputs; first += kSome) {
    const int64_t count = std::min(kSome, inputs - first);
    for (int64_t j = 0; j < count; j++) {
      const int64_t k = stored_input(s, first + j), g = stored_group_of(s, k);  // 1.
      if (g != last) {
        require_numbers<Format>(s, row, g);
        group = stored_group<Format>(s, row, g);  // 2.
        last = g;
      }
      some[j] = stored_value<Format>(stored_code<Format>(s, row, k), group);  // 3.
    }
    convert(some, out + first, count);
  }
}

}  // namespace

void dequantize(const DequantizeParams& p, CpuContext& context) {
  const StoredData s = stored_data(p.stored);
  dispatch_stored(p.stored.format, [&]<class Format>(Format) {
    dispatch_float(p.out.dtype, [&]<class O>(O) {
      for_rows(context, p.stored.rows, p.stored.inputs * kCost,
               [&](int64_t i) { dequantize_row<Format>(s, i, p.stored.inputs, row_at<O>(p.out, i)); });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
