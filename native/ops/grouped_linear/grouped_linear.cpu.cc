// What:      out[r] = f(x[order[r] / top_k] W_e^T) for the expert e that row r belongs to;
//            f = SwiGLU or nothing, of products and biases
// Steps:     1. check the groups
//            2. a register tile of products over gathered rows (cpu/gemm.h, with codes cpu/code_gemm.h)
//            3. bias, SwiGLU, conversion
// Mapping:   (expert, block of its panels) is one piece of work, dealt to threads; experts without rows cost
//            a look
// Cost:      decode: the weights of the experts that have rows, memory-bound
// Numerics:  f32 accumulation in k order; a row's result does not depend on its neighbours
// Source:    gather in the load and SwiGLU in the epilogue as in SonicMoE, arXiv 2512.14080
#include "ops/grouped_linear/grouped_linear.h"

#include "cpu/activations.h"
#include "cpu/code_gemm.h"
#include "cpu/cpu_context.h"
#include "cpu/int8_gemm.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int64_t kBlockPanels = 8;  // even: gate and up panels stay together

void check_groups(const GroupedLinearParams& p) {
  const int32_t* offsets = p.offsets.as<int32_t>();
  const int64_t experts = p.offsets.size(0) - 1, M = p.out.size(0);
  for (int64_t e = 0; e < experts; e++) {
    if (offsets[e] > offsets[e + 1])
      fail_execution("offsets[", e, "] = ", offsets[e], " exceeds the next one");
  }
  if (offsets[0] < 0 || offsets[experts] > M) {
    fail_execution("offsets run from ", offsets[0], " to ", offsets[experts], " but there are ", M, " rows");
  }
  for (int64_t r = 0; p.order && r < M; r++) {
    const int32_t source = p.order.as<int32_t>()[r];
    if (source < 0 || source / p.top_k >= p.x.size(0)) {
      fail_execution("order[", r, "] = ", source, " is outside the ", p.x.size(0), " rows of x times topK");
    }
  }
}

/// Writes `columns` results of one row of an expert: from columns floats, or with swiglu from alternating
/// panels of gate and up.
void finish_row(const GroupedLinearParams& p, int64_t expert, int64_t row, int64_t column, int64_t columns,
                const float* tile) {
  const float* bias = p.bias ? p.bias.as<float>() + expert * p.bias.stride(0) + column : nullptr;
  const Swiglu function = swiglu_of(p);
  dispatch_float(p.out.dtype, [&]<class O>(O) {
    O* out = p.out.as<O>() + row * p.out.stride(0) + column;
    if (!p.weight.swiglu) {
      for_lanes(columns, [&](int64_t i, int n) {
        vf v = load_some(tile + i, n);
        if (bias) v += load_some(bias + i, n);
        store_some(out + i, v, n);
      });
      return;
    }
    for (int64_t first = 0; first < columns; first += kPanel) {
      const float* gate = tile + 2 * first;
      for_lanes(std::min<int64_t>(kPanel, columns - first), [&](int64_t i, int n) {
        vf g = load_some(gate + i, n), u = load_some(gate + kPanel + i, n);
        if (bias) {
          g += load_some(bias + first + i, n);
          u += load_some(bias + p.out.size(1) + first + i, n);
        }
        store_some(out + first + i, function.clamped ? swiglu(function, g, u) : g * sigmoid(g) * u, n);
      });
    }
  });
}

/// Row r of the result reads this one.
template <class X>
const X* source_of(const GroupedLinearParams& p, int64_t r) {
  const int64_t source = p.order ? p.order.as<int32_t>()[r] / p.top_k : r;
  return p.x.as<X>() + source * p.x.stride(0);
}

void finish_tile(const GroupedLinearParams& p, int64_t expert, int64_t row, int count, int64_t panel,
                 int num_panels, const float* tile) {
  const int64_t per_column = p.weight.swiglu ? 2 : 1, column = panel / per_column * kPanel;
  const int64_t columns = std::min<int64_t>(num_panels / per_column * kPanel, p.out.size(1) - column);
  for (int i = 0; i < count; i++)
    finish_row(p, expert, row + i, column, columns, tile + i * num_panels * kPanel);
}

template <class X>
void run_block(const GroupedLinearParams& p, int64_t expert, int64_t first, int64_t last,
               std::byte* workspace) {
  const int32_t* offsets = p.offsets.as<int32_t>();
  const int64_t begin = offsets[expert];
  multiply_weight<X>(
      offsets[expert + 1] - begin, [&](int64_t row) { return source_of<X>(p, begin + row); }, p.weight,
      expert, first, last, workspace,
      [&](int64_t row, int count, int64_t panel, int num_panels, const float* tile) {
        finish_tile(p, expert, begin + row, count, panel, num_panels, tile);
      });
}

/// With a weight whose activations become bytes.
template <class X>
void run_int8(const GroupedLinearParams& p, CpuContext& context) {
  const int32_t* offsets = p.offsets.as<int32_t>();
  const GroupedRows rows{p.offsets.size(0) - 1,
                         [&](int64_t expert) { return static_cast<int64_t>(offsets[expert]); },
                         [&](int64_t row) { return source_of<X>(p, row); }};
  multiply_int8<X>(context, p.weight, rows, kBlockPanels,
                   [&](int64_t expert, int64_t row, int count, int64_t panel, int panels, const float* sums) {
                     finish_tile(p, expert, row, count, panel, panels, sums);
                   });
}

}  // namespace

void grouped_linear(const GroupedLinearParams& p, CpuContext& context) {
  check_groups(p);
  const int32_t* offsets = p.offsets.as<int32_t>();
  const int64_t experts = p.offsets.size(0) - 1;
  const int64_t panels = p.weight.data.size(1) / kPanel, blocks = (panels + kBlockPanels - 1) / kBlockPanels;
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    if (p.weight.numbers.activation == Activation::int8) return run_int8<X>(p, context);
    parallel_for(context.pool(), experts * blocks, 1, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t expert = i / blocks, first = i % blocks * kBlockPanels;
        if (offsets[expert] == offsets[expert + 1]) continue;
        run_block<X>(p, expert, first, std::min(first + kBlockPanels, panels),
                     context.workspace<std::byte>(thread));
      }
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
