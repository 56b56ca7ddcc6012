// Attention of sm_90, cuda/attention/hopper.cuh: causal, keys without pages, wide tiles of both consumers and
// of one, a middle tile, one block for all items. The last tile of keys ends beyond the sequence, and what
// lies there is NaN. Where the last is `spoilt`, so are the last key and its value, which only the last query
// sees: the rows of its tile are mended, which also mends what a race did to them.
#include "cuda/attention/attention.cu"

#include <cmath>

#include "core/attention_limits.h"
#include "cuda/attention/launch_hopper.cuh"
#include "program.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

constexpr int kDh = 64;
using Narrow = NarrowShape<bf16, kDh, kDh, 2, 3>;
using Wide = WideShape<bf16, kDh, kDh, 2, 64, 2>;
using HopperMiddle = HopperShape<bf16, kDh, kDh, 64, 1>;
using HopperWide = HopperShape<bf16, kDh, kDh, 64, 2>;

TensorView view(void* data, DType dtype, int64_t rows) {
  return {data, {rows, 1, kDh, 1}, {kDh, kDh, 1, 0}, dtype, 3};
}

struct Sequence {
  int queries, keys;
  bool spoilt;
};

/// Query i sees keys [0, keys - queries + i].
std::vector<float> reference(const Sequence& s, float scale) {
  const auto element = [](int row, int d, uint32_t salt) {
    return small_integer(static_cast<size_t>(row * kDh + d), salt);
  };
  std::vector<float> out;
  for (int i = 0; i < s.queries; i++) {
    const int seen = s.keys - s.queries + i + 1;
    std::vector<double> sums(kDh);
    double total = 0;
    for (int j = 0; j < seen; j++) {
      int dot = 0;
      for (int d = 0; d < kDh; d++) dot += element(i, d, 1) * element(j, d, 2);
      const double weight = std::exp(static_cast<double>(scale) * dot);
      total += weight;
      for (int d = 0; d < kDh; d++) sums[static_cast<size_t>(d)] += weight * element(j, d, 3);
    }
    for (const double sum : sums)
      out.push_back(i + 1 == s.queries && s.spoilt ? std::nanf("") : static_cast<float>(sum / total));
  }
  return out;
}

void attend(Run& run, CudaContext& context, const char* name, const Sequence& s, float scale) {
  constexpr int kBeyond = 64;  // keys of another sequence
  const int finite = s.keys - s.spoilt, all = s.keys + kBeyond;
  std::vector<uint16_t> k = matrix(finite, kDh, kDh, 2), v = matrix(finite, kDh, kDh, 3);
  for (auto* rows : {&k, &v}) rows->resize(static_cast<size_t>(all) * kDh, 0x7fc0);
  AttentionProblem p{};
  p.q = view(run.upload(matrix(s.queries, kDh, kDh, 1)), DType::bf16, s.queries);
  p.k = as_pages(view(run.upload(k), DType::bf16, all));
  p.v = as_pages(view(run.upload(v), DType::bf16, all));
  float* out = run.output<float>(static_cast<size_t>(s.queries * kDh));
  p.out = view(out, DType::f32, s.queries);
  p.num_sequences = 1;
  p.cu_seqlens_q = run.upload(std::vector<int32_t>{0, s.queries});
  p.cu_seqlens_k = run.upload(std::vector<int32_t>{0, s.keys});
  p.scale = scale;
  p.causal = true;
  const AttentionTiles tiles =
      make_hopper_tiles<HopperMiddle, HopperWide>(make_attention_tiles<Narrow, Wide>());
  const AttentionPlan plan = start_plan(p, tiles.shape, context);
  for (int kind = kKinds - 1; kind >= 0; kind--) tiles.run[kind](p, plan, context);
  run.expect(name, out, reference(s, scale), 0.02);  // P is rounded to bf16
}
void run_attention(Run& run) {
  CudaContext context = run.context();
  context.num_sms = 1;  // its block does all items of a call
  context.workspace_bytes = 8 << 20;
  context.workspace = run.upload(std::vector<std::byte>(context.workspace_bytes));
  constexpr int kCounters = static_cast<int>(AttentionCounter::count) + 32;  // for split tiles
  context.num_counters = kCounters;
  context.counters = run.upload(std::vector<uint32_t>(kCounters, 0));
  attend(run, context, "five tiles of keys", {150, 300, false}, 0.05f);
  attend(run, context, "five tiles of keys, the last key spoilt", {150, 300, true}, 0.05f);
  attend(run, context, "five tiles of keys, a negative scale", {150, 300, false}, -0.05f);
  attend(run, context, "one tile of keys", {20, 40, false}, 0.05f);  // a middle tile
  attend(run, context, "one tile of keys, the last key spoilt", {20, 40, true}, 0.05f);
  run.expect("counters", context.counters, std::vector<uint32_t>(kCounters, 0));
}
const atoms::Atom attention("attention", 90, run_attention);

}  // namespace
}  // namespace warploop::mutants
