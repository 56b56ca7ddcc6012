// What:      out[t, h] = x[t, h] W_h^T
// Steps:     1. a register tile of products, k in order (cpu/gemm.h, with codes cpu/code_gemm.h)
//            2. conversion
// Mapping:   (head, block of its panels, block of rows) is one piece of work, dealt to threads
// Cost:      decode: H N K weight bytes, memory-bound.  prompt: 2 T H N K flop
// Numerics:  f32 accumulation in k order; a row's result does not depend on T
#include "ops/head_linear/head_linear.h"

#include "cpu/code_gemm.h"
#include "cpu/cpu_context.h"
#include "cpu/int8_gemm.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int64_t kBlockPanels = 16;
constexpr int64_t kBlockRows = 96;  // a multiple of every tile's rows

/// Writes a tile of the results of one head.
void finish_tile(const HeadLinearParams& p, int64_t head, int64_t row, int count, int64_t panel, int panels,
                 const float* tile) {
  const int64_t column = panel * kPanel, columns = std::min<int64_t>(panels * kPanel, p.out.size(2) - column);
  dispatch_float(p.out.dtype, [&]<class O>(O) {
    for (int i = 0; i < count; i++) {
      O* to = p.out.as<O>() + (row + i) * p.out.stride(0) + head * p.out.stride(1) + column;
      const float* sums = tile + i * panels * kPanel;
      for_lanes(columns, [&](int64_t j, int n) { store_some(to + j, load_some(sums + j, n), n); });
    }
  });
}

template <class X>
const X* source_of(const HeadLinearParams& p, int64_t head, int64_t row) {
  return p.x.as<X>() + row * p.x.stride(0) + head * p.x.stride(1);
}

template <class X>
void run_block(const HeadLinearParams& p, int64_t head, int64_t first_row, int64_t first_panel,
               std::byte* workspace) {
  const int64_t panels = p.weight.data.size(1) / kPanel;
  multiply_weight<X>(
      std::min(kBlockRows, p.x.size(0) - first_row),
      [&](int64_t row) { return source_of<X>(p, head, first_row + row); }, p.weight, head, first_panel,
      std::min(first_panel + kBlockPanels, panels), workspace,
      [&](int64_t row, int count, int64_t panel, int num_panels, const float* tile) {
        finish_tile(p, head, first_row + row, count, panel, num_panels, tile);
      });
}

/// With a weight whose activations become bytes: rows are those of one head after another.
template <class X>
void run_int8(const HeadLinearParams& p, CpuContext& context) {
  const int64_t T = p.x.size(0);
  const GroupedRows rows{p.x.size(1), [&](int64_t head) { return head * T; },
                         [&](int64_t row) { return source_of<X>(p, row / T, row % T); }};
  multiply_int8<X>(context, p.weight, rows, kBlockPanels,
                   [&](int64_t head, int64_t row, int count, int64_t panel, int panels, const float* sums) {
                     finish_tile(p, head, row - head * T, count, panel, panels, sums);
                   });
}

}  // namespace

void head_linear(const HeadLinearParams& p, CpuContext& context) {
  const int64_t T = p.x.size(0), H = p.x.size(1), panels = p.weight.data.size(1) / kPanel;
  const int64_t row_blocks = (T + kBlockRows - 1) / kBlockRows,
                panel_blocks = (panels + kBlockPanels - 1) / kBlockPanels;
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    if (p.weight.numbers.activation == Activation::int8) return run_int8<X>(p, context);
    parallel_for(
        context.pool(), H * panel_blocks * row_blocks, 1, [&](int64_t begin, int64_t end, int thread) {
          for (int64_t i = begin; i < end; i++) {
            const int64_t row = i % row_blocks * kBlockRows;  // neighbours share their panels
            const int64_t panel = i / row_blocks % panel_blocks * kBlockPanels;
            run_block<X>(p, i / row_blocks / panel_blocks, row, panel, context.workspace<std::byte>(thread));
          }
        });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
