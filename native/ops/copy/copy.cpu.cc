// What:      dst = src
// Mapping:   contiguous elements are dealt to threads in pieces
// Numerics:  bits are copied, whatever they mean
// Source:    the definition
#include "ops/copy/copy.h"

#include "cpu/spans.h"

namespace warploop::cpu::WARPLOOP_ISA {

void copy(const CopyParams& p, CpuContext& context) {
  TensorView src = p.src, dst = p.dst;
  merge_contiguous_axes(src, dst);
  const auto copy_elements = [&]<class E>(E) {
    for_spans(context, dst, 1, [&](int64_t row, int64_t begin, int64_t count) {
      convert(row_at<E>(src, row) + begin, row_at<E>(dst, row) + begin, count);
    });
  };
  switch (bits_of(src.dtype)) {
    case 8:
      return copy_elements(uint8_t{});
    case 16:
      return copy_elements(uint16_t{});
    default:
      return copy_elements(uint32_t{});
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
