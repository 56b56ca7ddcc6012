// What a step runs, made from what the device knows: tokens, positions, slots and lengths of its sequences.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

/// Columns of `groups`: tokens of a page, and the first page that belongs to anybody (those before it are the
/// dummy block's).
enum class StepGroup { page_size, first_page, count };

/// Row R - 1 of pool, tables and lengths is padding's: it runs from position 0, stores nothing, never grows.
struct StepInputsParams {
  TensorView rows;              // [B], i32, packed; each in [0, R), at most once except R - 1
  TensorView starts;            // [B], i32, packed; where the tokens of a sequence begin; -1: at lengths[row]
  TensorView cu_seqlens_q;      // [B + 1], i32, packed: first token of each sequence, then T
  TensorView logit_indices;     // [N], i32, packed; each in [0, T)
  TensorView lengths;           // [R], i32, packed; read and written: the length after this step
  TensorView token_pool;        // [R, L], i32, rows strided
  TensorView page_tables;       // [G, R, W], i32, rows strided: a table per cache group
  TensorView groups;            // [G, 2], i32, packed, see StepGroup
  TensorView tokens;            // [T], i32, packed
  TensorView positions;         // [T], i32, packed
  TensorView slots;             // [G, T], i32, packed
  TensorView context_lens;      // [B], i32, packed
  TensorView sample_positions;  // [N], i32, packed
};

/// As TypeScript passes them.
inline auto fields(StepInputsParams& p) {
  return in_order(p.rows, p.starts, p.cu_seqlens_q, p.logit_indices, p.lengths, p.token_pool, p.page_tables,
                  p.groups, p.tokens, p.positions, p.slots, p.context_lens, p.sample_positions);
}

void check(const StepInputsParams& p, Check& c);

}  // namespace warploop
