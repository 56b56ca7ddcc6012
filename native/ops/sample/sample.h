// One token per row from logits: mask, bias, penalties, temperature, top-k, min-p, top-p and a seeded draw.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/row_status.h"
#include "core/tensor_view.h"

namespace warploop {

/// Columns of `floats`.
enum class SampleFloat {
  temperature,
  top_p,
  min_p,
  repetition_penalty,
  presence_penalty,
  frequency_penalty,
  count
};
/// Columns of `ints`.
enum class SampleInt { top_k, seed_low, seed_high, pool_row, prompt_length, min_length, count };

/// A row of `processed` is cut into blocks of this many tokens; the maxima of the blocks follow the tokens.
inline constexpr int64_t kSampleBlock = 64;

struct SampleParams {
  TensorView logits;       // [B, V], f32 | bf16 | f16, rows strided, V >= 1
  TensorView floats;       // [B, 6], f32, packed, see SampleFloat
  TensorView ints;         // [B, 6], i32, packed, see SampleInt
  TensorView positions;    // [B], i32, packed: of the token that is sampled, so the tokens before it
  TensorView token_pool;   // [R, L], i32, rows strided; optional: no row may ask for penalties then
  TensorView bias_ids;     // [B, Nb], i32, packed; -1 pads; optional
  TensorView bias_values;  // [B, Nb], f32, packed; present with bias_ids
  TensorView
      suppressed_ids;  // [B, Ns], i32, packed: not chosen at positions below min_length; -1 pads; optional
  TensorView
      bitmask;  // [B, ceil(V/32)], i32, rows strided; bit v mod 32 of word v div 32 allows token v; optional
  TensorView processed;  // scratch [B, 65 * ceil(V/64)], f32, packed: logits padded to whole blocks, then the
                         // block maxima
  TensorView counts;     // scratch [B, V], i32, packed; present with token_pool
  TensorView out;        // [B], i32, packed
  TensorView status;  // [B], i32, packed, RowStatus: not_finite is about `logits`, no_choice about what mask
                      // and biases leave; optional
};

/// As TypeScript passes them.
inline auto fields(SampleParams& p) {
  return in_order(p.logits, p.floats, p.ints, p.positions, optional(p.token_pool), optional(p.bias_ids),
                  optional(p.bias_values), optional(p.suppressed_ids), optional(p.bitmask), p.processed,
                  optional(p.counts), p.out, optional(p.status));
}

void check(const SampleParams& p, Check& c);

}  // namespace warploop
