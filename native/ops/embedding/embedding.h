// Row lookup: out[t] = table[ids[t]], also used as a plain row gather.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "formats/weight_view.h"

namespace warploop {

struct EmbeddingParams {
  TensorView ids;     // [T], i32, packed; each in [0, V), verified when the op runs
  TensorView table;   // [V, D], f32 | bf16 | f16, rows strided; or absent, and
  WeightView weight;  // one matrix [V, D], as linear reads it
  TensorView out;     // [T, D], f32 | bf16 | f16, rows strided
};

/// As TypeScript passes them.
inline auto fields(EmbeddingParams& p) {
  return in_order(p.ids, optional(p.table), optional(p.weight), p.out);
}

void check(const EmbeddingParams& p, Check& c);

}  // namespace warploop
