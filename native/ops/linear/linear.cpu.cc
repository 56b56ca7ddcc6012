// What:      out = x W^T + bias + residual, or silu(gate) * up of the halves of x W^T + bias
// Steps:     1. a register tile of products, k in order (cpu/gemm.h, with codes cpu/code_gemm.h)
//            2. bias, residual or SwiGLU, conversion
// Mapping:   blocks of weight panels are dealt to threads. A block stays in L2 while all rows of x pass over
//            it, so the weights cross memory once; with many rows, rows are split as well until every thread
//            has work
// Cost:      decode: N K weight bytes, memory-bound.  prompt: 2 T N K flop, compute-bound
// Numerics:  f32 accumulation in k order; a row's result does not depend on T. Gate and up are rounded to the
//            dtype of x before silu: bit by bit what siluMul makes of a product that has been stored
#include "ops/linear/linear.h"

#include "cpu/activations.h"
#include "cpu/code_gemm.h"
#include "cpu/cpu_context.h"
#include "cpu/int8_gemm.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

// 4 panels of a 1024-wide bf16 layer are 128 KiB: small enough to share out evenly at decode, and to stay in
// L2. Even numbers: panels of gate and up stay together.
constexpr int64_t kDecodePanels = 4;
constexpr int64_t kPromptPanels = 16;
constexpr int64_t kPromptRows = 96;  // rows per piece of work: a multiple of every tile's rows

/// Writes `columns` results of one row.
void finish_row(const LinearParams& p, int64_t row, int64_t column, int64_t columns, const float* tile) {
  const auto at = [&](const TensorView& t) { return row * t.stride(0) + column; };
  dispatch_float(p.out.dtype, [&]<class O>(O) {
    dispatch_float(p.residual ? p.residual.dtype : DType::f32, [&]<class R>(R) {
      const R* residual = p.residual ? p.residual.as<R>() + at(p.residual) : nullptr;
      const float* bias = p.bias ? p.bias.as<float>() + column : nullptr;
      O* out = p.out.as<O>() + at(p.out);
      for_lanes(columns, [&](int64_t i, int n) {
        vf v = load_some(tile + i, n);
        if (bias) v += load_some(bias + i, n);
        if (residual) v += load_some(residual + i, n);
        store_some(out + i, v, n);
      });
    });
  });
}

/// From alternating panels of gate and up, both rounded to X.
template <class X>
void finish_gated_row(const LinearParams& p, int64_t row, int64_t column, int64_t columns,
                      const float* tile) {
  const float* biases[2] = {};
  if (p.bias) {
    biases[0] = p.bias.as<float>() + column;
    biases[1] = biases[0] + p.out.size(1);
  }
  const auto rounded = [&](int half, int64_t first, int64_t i, int n) {
    vf v = load_some(tile + 2 * first + half * kPanel + i, n);
    if (p.bias) v += load_some(biases[half] + first + i, n);
    X stored[kLanes];
    store_some(stored, v, n);
    return load_some(stored, n);
  };
  dispatch_float(p.out.dtype, [&]<class O>(O) {
    O* out = p.out.as<O>() + row * p.out.stride(0) + column;
    for (int64_t first = 0; first < columns; first += kPanel) {
      for_lanes(std::min<int64_t>(kPanel, columns - first), [&](int64_t i, int n) {
        store_some(out + first + i, silu(rounded(0, first, i, n)) * rounded(1, first, i, n), n);
      });
    }
  });
}

/// Writes the results of one row.
template <class X>
void finish_columns(const LinearParams& p, int64_t row, int64_t panel, int64_t panels, const float* sums) {
  const int64_t column = panel / (p.weight.swiglu ? 2 : 1) * kPanel;
  const int64_t width = panels * kPanel / (p.weight.swiglu ? 2 : 1);
  const int64_t columns = std::min(width, p.out.size(1) - column);
  p.weight.swiglu ? finish_gated_row<X>(p, row, column, columns, sums)
                  : finish_row(p, row, column, columns, sums);
}

/// With a weight whose activations become bytes.
template <class X>
void linear_int8(const LinearParams& p, CpuContext& context) {
  const int64_t T = p.x.size(0);
  const GroupedRows rows{1, [&](int64_t matrix) { return matrix * T; },
                         [&](int64_t row) { return p.x.as<X>() + row * p.x.stride(0); }};
  multiply_int8<X>(context, p.weight, rows, T <= kStreamRows ? kDecodePanels : kPromptPanels,
                   [&](int64_t, int64_t row, int count, int64_t panel, int panels, const float* sums) {
                     for (int i = 0; i < count; i++)
                       finish_columns<X>(p, row + i, panel, panels, sums + i * panels * kPanel);
                   });
}

}  // namespace

void linear(const LinearParams& p, CpuContext& context) {
  const int64_t T = p.x.size(0), panels = p.weight.data.size(1) / kPanel;
  const int64_t rows_each = T <= kStreamRows ? std::max<int64_t>(T, 1) : kPromptRows;
  const int64_t panels_each = T <= kPromptRows ? kDecodePanels : kPromptPanels;
  const int64_t row_blocks = (T + rows_each - 1) / rows_each,
                panel_blocks = (panels + panels_each - 1) / panels_each;
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    if (p.weight.numbers.activation == Activation::int8) return linear_int8<X>(p, context);
    const auto block = [&](int64_t index, int thread) {
      const int64_t first_row = index % row_blocks * rows_each;  // neighbours share their panels
      const int64_t first = index / row_blocks * panels_each;
      const X* x = p.x.as<X>() + first_row * p.x.stride(0);
      multiply_weight<X>(
          std::min(rows_each, T - first_row), [&](int64_t row) { return x + row * p.x.stride(0); }, p.weight,
          0, first, std::min(first + panels_each, panels), context.workspace<std::byte>(thread),
          [&](int64_t row, int count, int64_t panel, int num_panels, const float* tile) {
            for (int i = 0; i < count; i++)
              finish_columns<X>(p, first_row + row + i, panel, num_panels, tile + i * num_panels * kPanel);
          });
    };
    parallel_for(context.pool(), row_blocks * panel_blocks, 1, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; i++) block(i, thread);
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
