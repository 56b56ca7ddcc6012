// What:      for token i of sequence b, in row r = rows[b], at position j = start + i, of every group g:
//            tokens = tokenPool[r, j], positions = j, slots[g] = pageTables[g, r, j / Ps] * Ps + j % Ps;
//            contextLens[b] = lengths[r] = start + count; samplePositions[n] = positions[logitIndices[n]] + 1
// Steps:     1. verify the sequence and its end   2. its tokens   3. their slots   4. the new length
//            5. where samples go
// Mapping:   grid = B, a thread per token in turns; a block knows alone where its sequence begins, so that it
//            alone reads and writes the length of its row, and looks through all N for those that are its own
// Resources: no shared memory
// Cost:      12 + 8 G bytes per token; at the sizes of a step, the launch
// Source:    the definition
#include "ops/step_inputs/step_inputs.h"

#include <algorithm>

#include "cuda/device/block.cuh"
#include "cuda/device/fault.cuh"
#include "cuda/launch.h"

namespace warploop::cuda {

namespace {

constexpr int kThreads = 128;

struct Step {
  StepInputsParams p;
  FaultSite bad_total, bad_row, bad_range, bad_start, bad_length, bad_end, bad_group, bad_column, bad_page,
      bad_logit;
};

/// Tokens [first, first + count) of the step are those at [start, start + count) of `row`; none if it is bad.
struct Sequence {
  int64_t row, first, count, start;
  bool is_padding;
};

/// Every thread of the block gets the same; each fault is kept once.
WARPLOOP_DEVICE Sequence sequence_at(const Step& step, int64_t b) {
  const StepInputsParams& p = step.p;
  const Sequence none{0, 0, 0, 0, true};
  const int64_t B = p.rows.size(0), R = p.token_pool.size(0), L = p.token_pool.size(1), T = p.tokens.size(0);
  if (b >= B) return none;
  const int64_t row = p.rows.as<int32_t>()[b];
  const int64_t first = p.cu_seqlens_q.as<int32_t>()[b], end = p.cu_seqlens_q.as<int32_t>()[b + 1];
  const int64_t told = p.starts.as<int32_t>()[b];
  if (row < 0 || row >= R) return raise_fault(step.bad_row, row, R, b), none;
  if (first < 0 || end < first || end > T) return raise_fault(step.bad_range, first, T, b, end), none;
  if (told < -1) return raise_fault(step.bad_start, told, 0, b), none;
  const bool is_padding = row == R - 1;
  const int64_t start = is_padding ? 0 : told >= 0 ? told : p.lengths.as<int32_t>()[row];
  if (start < 0) return raise_fault(step.bad_length, start, 0, row), none;
  if (start + end - first > L) return raise_fault(step.bad_end, start + end - first, L, b), none;
  return {row, first, end - first, start, is_padding};
}

/// Where token i of sequence b goes in group g.
WARPLOOP_DEVICE int32_t slot_of(const Step& step, int64_t b, const Sequence& s, int64_t g, int64_t i) {
  if (s.is_padding) return -1;
  const TensorView& tables = step.p.page_tables;
  const int32_t* group = step.p.groups.as<int32_t>() + g * static_cast<int64_t>(StepGroup::count);
  const int64_t page_size = group[static_cast<int>(StepGroup::page_size)], W = tables.size(2);
  const int64_t first_page = group[static_cast<int>(StepGroup::first_page)];
  if (page_size < 1) return raise_fault(step.bad_group, page_size, 0, g), -1;
  const int64_t column = (s.start + i) / page_size;
  if (column >= W) return raise_fault(step.bad_column, column, W, b), -1;
  const int64_t page = tables.as<int32_t>()[g * tables.stride(0) + s.row * tables.stride(1) + column];
  const int64_t slot = page * page_size + (s.start + i) % page_size;
  if (page < first_page || page < 0 || slot > 0x7fffffff)
    return raise_fault(step.bad_page, page, first_page, b, column), -1;
  return static_cast<int32_t>(slot);
}

__global__ void __launch_bounds__(kThreads) step_inputs_kernel(const __grid_constant__ Step step) {
  wait_for_predecessors();
  const StepInputsParams& p = step.p;
  const int64_t b = blockIdx.x, B = p.rows.size(0), T = p.tokens.size(0), N = p.logit_indices.size(0);
  const int32_t *cu = p.cu_seqlens_q.as<int32_t>(), *logits = p.logit_indices.as<int32_t>();
  if (b == 0 && threadIdx.x == 0 && (cu[0] != 0 || cu[B] != T)) raise_fault(step.bad_total, cu[0], T, cu[B]);
  const Sequence s = sequence_at(step, b);  // 1.
  const int32_t* pool = p.token_pool.as<int32_t>() + s.row * p.token_pool.stride(0) + s.start;
  for (int64_t i = threadIdx.x; i < s.count; i += kThreads) {
    p.tokens.as<int32_t>()[s.first + i] = pool[i];  // 2.
    p.positions.as<int32_t>()[s.first + i] = static_cast<int32_t>(s.start + i);
    for (int64_t g = 0; g < p.page_tables.size(0); g++)  // 3.
      p.slots.as<int32_t>()[g * T + s.first + i] = slot_of(step, b, s, g, i);
  }
  sync_block();  // every thread has read the length
  if (b < B && threadIdx.x == 0) {
    const auto length = static_cast<int32_t>(s.start + s.count);
    p.context_lens.as<int32_t>()[b] = length;
    if (!s.is_padding) p.lengths.as<int32_t>()[s.row] = length;  // 4.
  }
  for (int64_t n = threadIdx.x; n < N; n += kThreads) {  // 5.
    const int64_t t = logits[n];
    if (t >= s.first && t < s.first + s.count)
      p.sample_positions.as<int32_t>()[n] = static_cast<int32_t>(s.start + t - s.first) + 1;
    else if (b == 0 && (t < 0 || t >= T))
      raise_fault(step.bad_logit, t, T, n);
  }
}

}  // namespace

void step_inputs(const StepInputsParams& p, CudaContext& context) {
  const auto site = [&](const char* text) { return context.fault_site(OpId::step_inputs, text); };
  const Step step{p,
                  site("the sequences have the tokens [{value}, {index}), the step has [0, T={limit})"),
                  site("rows[{index}] = {value} is outside [0, R={limit})"),
                  site("cuSeqlensQ[{index}..] = {value}, {column} is no range within [0, T={limit}]"),
                  site("starts[{index}] = {value} is neither a position nor -1"),
                  site("lengths[{index}] = {value} is negative"),
                  site("sequence {index} ends at {value}, beyond the L={limit} of its row"),
                  site("groups[{index}] has pages of {value} tokens"),
                  site("sequence {index} has a token in column {value}, pageTables has W={limit}"),
                  site("page {value} in column {column} of sequence {index} belongs to nobody"),
                  site("logitIndices[{index}] = {value} is outside [0, T={limit})")};
  const auto blocks = static_cast<unsigned>(std::max<int64_t>(p.rows.size(0), 1));
  launch<step_inputs_kernel>(context, {.grid = dim3(blocks), .threads = kThreads}, step);
}

}  // namespace warploop::cuda
