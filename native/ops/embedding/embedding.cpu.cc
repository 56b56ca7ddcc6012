// What:      out[t] = table[ids[t]], converted to the dtype of out
// Steps:     1. verify the id   2. copy the row, converting
// Mapping:   rows are dealt to threads
// Numerics:  equal dtypes keep every bit; otherwise widening is exact and narrowing rounds to nearest even
// Source:    the definition
#include "ops/embedding/embedding.h"

#include "core/error.h"
#include "cpu/spans.h"

namespace warploop::cpu::WARPLOOP_ISA {

void embedding(const EmbeddingParams& p, CpuContext& context) {
  const int64_t V = p.table.size(0), D = p.table.size(1);
  const int32_t* ids = p.ids.as<int32_t>();
  dispatch_float(p.table.dtype, [&]<class X>(X) {
    dispatch_float(p.out.dtype, [&]<class O>(O) {
      for_rows(context, p.ids.size(0), D, [&](int64_t t) {
        const int64_t id = ids[t];
        if (id < 0 || id >= V) fail_execution("ids[", t, "] = ", id, " is outside [0, V=", V, ")");  // 1.
        convert(row_at<X>(p.table, id), row_at<O>(p.out, t), D);                                     // 2.
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
