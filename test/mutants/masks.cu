// Attention on any GPU: narrow, wide and any.cuh, causal with a window. The last key and its value are NaN:
// only the last query sees them. Before the window of the first query lies NaN that nobody sees. The last cases
// are split tiles, which the block that comes last puts together.
#include "cuda/attention/attention.cu"

#include <cmath>

#include "cuda/attention/launch_tiles.cuh"
#include "program.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

constexpr int kWidth = 64, kWindow = 40;
constexpr float kScale = 0.05f;

TensorView view(void* data, DType dtype, int64_t rows) {
  return {data, {rows, 1, kWidth, 1}, {kWidth, kWidth, 1, 0}, dtype, 3};
}
/// As pages of one token.
TensorView pages(void* data, DType dtype, int64_t rows) {
  return {data, {rows, 1, 1, kWidth}, {kWidth, kWidth, kWidth, 1}, dtype, 4};
}

/// Query i sees the last kWindow keys up to keys - queries + i, and the last key is NaN.
std::vector<float> reference(int queries, int keys) {
  const auto element = [](int row, int d, uint32_t salt) {
    return small_integer(static_cast<size_t>(row * kWidth + d), salt);
  };
  std::vector<float> out;
  for (int i = 0; i < queries; i++) {
    const int end = keys - queries + i + 1, begin = std::max(end - kWindow, 0);
    std::vector<double> sums(kWidth);
    double total = 0;
    for (int j = begin; j < end; j++) {
      int dot = 0;
      for (int d = 0; d < kWidth; d++) dot += element(i, d, 1) * element(j, d, 2);
      const double weight = std::exp(static_cast<double>(kScale) * dot);
      total += weight;
      for (int d = 0; d < kWidth; d++) sums[static_cast<size_t>(d)] += weight * element(j, d, 3);
    }
    for (const double sum : sums)
      out.push_back(i + 1 < queries ? static_cast<float>(sum / total) : std::nanf(""));
  }
  return out;
}

/// small_integer with NaN in the last row and in the rows before the first window.
template <class T>
std::vector<T> keys_with_nan(int queries, int keys, uint32_t salt, T (*element)(int)) {
  return table(static_cast<size_t>(keys * kWidth), [&](size_t i) -> T {
    const int row = static_cast<int>(i) / kWidth;
    const bool seen = row < keys - 1 && row > keys - queries - kWindow;
    return element(seen ? small_integer(i, salt) : INT_MAX);
  });
}
uint16_t bf16_element(int value) { return value == INT_MAX ? uint16_t{0x7fc0} : bits16(value, false); }
float f32_element(int value) { return value == INT_MAX ? std::nanf("") : static_cast<float>(value); }

template <class T>
void attend(Run& run, CudaContext& context, const char* name, int queries, int keys, T (*element)(int),
            void (*launch_kernels)(const AttentionProblem&, CudaContext&)) {
  const DType dtype = sizeof(T) == 4 ? DType::f32 : DType::bf16;
  const auto q =
      table(static_cast<size_t>(queries * kWidth), [&](size_t i) { return element(small_integer(i, 1)); });
  AttentionProblem p{};
  p.q = view(run.upload(q), dtype, queries);
  p.k = pages(run.upload(keys_with_nan(queries, keys, 2, element)), dtype, keys);
  p.v = pages(run.upload(keys_with_nan(queries, keys, 3, element)), dtype, keys);
  float* out = run.output<float>(q.size());
  p.out = view(out, DType::f32, queries);
  p.num_sequences = 1;
  p.scale = kScale;
  p.window = kWindow;
  p.causal = true;
  launch_kernels(p, context);
  run.expect(name, out, reference(queries, keys), 0.01);  // P is rounded to bf16
}

void attend_in_tiles(const AttentionProblem& p, CudaContext& context) {
  const AttentionTiles tiles = make_attention_tiles<NarrowShape<bf16, kWidth, kWidth, 2, 3>,
                                                    WideShape<bf16, kWidth, kWidth, 2, 64, 2>>();
  const AttentionPlan plan = start_plan(p, tiles.shape, context);
  for (const int kind : {kWide, kNarrow}) tiles.run[kind](p, plan, context);
}
void run_masks(Run& run) {
  CudaContext context = run.context();
  context.workspace_bytes = 8 << 20;
  context.workspace = run.upload(std::vector<std::byte>(context.workspace_bytes));
  constexpr int kCounters = static_cast<int>(AttentionCounter::count) + 32;  // for split tiles
  context.num_counters = kCounters;
  context.counters = run.upload(std::vector<uint32_t>(kCounters, 0));
  attend(run, context, "narrow", 7, 100, bf16_element, attend_in_tiles);
  attend(run, context, "wide", 70, 200, bf16_element, attend_in_tiles);
  attend(run, context, "any", 20, 100, f32_element, attention_any);
  attend(run, context, "narrow, two spans", 7, 270, bf16_element, attend_in_tiles);
  // The windows lie across two spans of 512 keys, the last of one group and the first of the next.
  attend(run, context, "narrow, two groups of spans", 7, 8200, bf16_element, attend_in_tiles);
  attend(run, context, "any, two groups of spans", 7, 8200, f32_element, attention_any);
  run.expect("counters", context.counters, std::vector<uint32_t>(kCounters, 0));
}
const atoms::Atom masks("masks", 80, run_masks);

}  // namespace
}  // namespace warploop::mutants
