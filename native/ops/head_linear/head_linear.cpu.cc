// What:      out[t, h] = x[t, h] W_h^T
// Steps:     1. a register tile of products, k in order (cpu/gemm.h)
//            2. conversion
// Mapping:   (head, block of its panels, block of rows) is one piece of work, dealt to threads
// Cost:      decode: H N K weight bytes, memory-bound.  prompt: 2 T H N K flop
// Numerics:  f32 accumulation in k order; a row's result does not depend on T
#include "ops/head_linear/head_linear.h"

#include "cpu/cpu_context.h"
#include "cpu/gemm.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int64_t kBlockPanels = 16;
constexpr int64_t kBlockRows = 96;  // a multiple of every tile's rows

template <class X, class W>
void run_block(const HeadLinearParams& p, int64_t head, int64_t first_row, int64_t first_panel, X* staging) {
  const int64_t K = p.x.size(2), N = p.out.size(2), panels = p.weight.data.size(1) / kPanel;
  const int64_t rows = std::min(kBlockRows, p.x.size(0) - first_row);
  const X* x = p.x.as<X>() + first_row * p.x.stride(0) + head * p.x.stride(1);
  const W* weight = p.weight.data.as<W>() + head * p.weight.data.stride(0);
  dispatch_float(p.out.dtype, [&]<class O>(O) {
    O* const out = p.out.as<O>() + first_row * p.out.stride(0) + head * p.out.stride(1);
    multiply_block<X, W>(
        rows, [&](int64_t row) { return x + row * p.x.stride(0); }, weight, K, first_panel,
        std::min(first_panel + kBlockPanels, panels), staging,
        [&](int64_t row, int count, int64_t panel, int num_panels, const float* tile) {
          const int64_t column = panel * kPanel, columns = std::min<int64_t>(num_panels * kPanel, N - column);
          for (int i = 0; i < count; i++) {
            O* to = out + (row + i) * p.out.stride(0) + column;
            const float* sums = tile + i * num_panels * kPanel;
            for_lanes(columns, [&](int64_t j, int n) { store_some(to + j, load_some(sums + j, n), n); });
          }
        });
  });
}

}  // namespace

void head_linear(const HeadLinearParams& p, CpuContext& context) {
  const int64_t T = p.x.size(0), H = p.x.size(1), panels = p.weight.data.size(1) / kPanel;
  const int64_t row_blocks = (T + kBlockRows - 1) / kBlockRows,
                panel_blocks = (panels + kBlockPanels - 1) / kBlockPanels;
  dispatch_product(p.x.dtype, p.weight.data.dtype, [&]<class X, class W>(X, W) {
    parallel_for(
        context.pool(), H * panel_blocks * row_blocks, 1, [&](int64_t begin, int64_t end, int thread) {
          for (int64_t i = begin; i < end; i++) {
            const int64_t row = i % row_blocks * kBlockRows;  // neighbours share their panels
            const int64_t panel = i / row_blocks % panel_blocks * kBlockPanels;
            run_block<X, W>(p, i / row_blocks / panel_blocks, row, panel, context.workspace<X>(thread));
          }
        });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
