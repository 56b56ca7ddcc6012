// What:      out[r, k] = x[order[r] / top_k, input_order[e, k]] for the expert e that row r belongs to
// Steps:     1. the expert and the source of a row   2. its columns, each of them verified
// Mapping:   rows are dealt to threads
// Cost:      bytes of M rows read and written, and of their order; beside the product that reads them, little
// Source:    the definition
#include "ops/gather_inputs/gather_inputs.h"

#include "core/error.h"
#include "cpu/rows.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

int64_t source_of(const GatherInputsParams& p, int64_t r) {
  if (!p.order) return r;
  const int32_t source = p.order.as<int32_t>()[r];
  if (source < 0 || source / p.top_k >= p.x.size(0)) {
    fail_execution("order[", r, "] = ", source, " is outside the ", p.x.size(0), " rows of x times topK");
  }
  return source / p.top_k;
}

template <class X>
void gather_row(const GatherInputsParams& p, int64_t r) {
  const int64_t expert = p.expert_of(r), K = p.out.size(1);  // 1.
  if (expert < 0) return;
  const X* from = row_at<X>(p.x, source_of(p, r));
  const int32_t* inputs = row_at<int32_t>(p.input_order, expert);
  X* out = row_at<X>(p.out, r);
  for (int64_t k = 0; k < K; k++) {  // 2.
    const int64_t input = inputs[k];
    if (input < 0 || input >= K)
      fail_execution("inputOrder[", expert, ", ", k, "] = ", input, " is outside [0, K=", K, ")");
    out[k] = from[input];
  }
}

}  // namespace

void gather_inputs(const GatherInputsParams& p, CpuContext& context) {
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    for_rows(context, p.out.size(0), 2 * p.out.size(1), [&](int64_t r) { gather_row<X>(p, r); });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
