// Attention of sm_90, flash_attention.sm90.cu: causal, two consumers, the last block of keys ends beyond the
// sequence, and what lies there is NaN. Where the last is `spoilt`, so are the last key and its value, which only
// the last query sees: the rows of its tile are mended, which also mends what a race did to them.
#include "ops/flash_attention/flash_attention.sm90.cu"

#include <cmath>

#include "program.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

using Tiles = Shape<64, 64, 64, 2>;
constexpr int kDh = 64;
constexpr float kScale = 0.05f;

TensorView view(void* data, DType dtype, int64_t rows, int64_t heads, int64_t columns) {
  return {data, {rows, heads, columns, 1}, {heads * columns, columns, 1, 0}, dtype, 3};
}

/// Query i sees keys [0, keys - queries + i].
std::vector<float> reference(int queries, int keys, bool spoilt) {
  const auto q = [](int i, int d) { return small_integer(static_cast<size_t>(i * kDh + d), 1); };
  const auto k = [](int j, int d) { return small_integer(static_cast<size_t>(j * kDh + d), 2); };
  const auto v = [](int j, int d) { return small_integer(static_cast<size_t>(j * kDh + d), 3); };
  std::vector<float> out;
  for (int i = 0; i < queries; i++) {
    const int seen = keys - queries + i + 1;
    std::vector<double> weights(static_cast<size_t>(seen));
    double total = 0;
    for (int j = 0; j < seen; j++) {
      int dot = 0;
      for (int d = 0; d < kDh; d++) dot += q(i, d) * k(j, d);
      total += weights[static_cast<size_t>(j)] = std::exp(static_cast<double>(kScale) * dot);
    }
    for (int d = 0; d < kDh; d++) {
      double sum = 0;
      for (int j = 0; j < seen; j++) sum += weights[static_cast<size_t>(j)] * v(j, d);
      out.push_back(i + 1 == queries && spoilt ? std::nanf("") : static_cast<float>(sum / total));
    }
  }
  return out;
}

void attend(Run& run, const char* name, int queries, int keys, bool spoilt) {
  constexpr int kBeyond = 64;  // keys of another sequence
  const int finite = keys - spoilt;
  std::vector<uint16_t> k = matrix(finite, kDh, kDh, 2), v = matrix(finite, kDh, kDh, 3);
  for (auto* rows : {&k, &v}) rows->resize(static_cast<size_t>(keys + kBeyond) * kDh, 0x7fc0);
  FlashAttentionParams p{};
  p.q = view(run.upload(matrix(queries, kDh, kDh, 1)), DType::bf16, queries, 1, kDh);
  p.k = view(run.upload(k), DType::bf16, keys + kBeyond, 1, kDh);
  p.v = view(run.upload(v), DType::bf16, keys + kBeyond, 1, kDh);
  p.cu_seqlens_q = {run.upload(std::vector<int32_t>{0, queries}), {2, 1, 1, 1}, {1}, DType::i32, 1};
  p.cu_seqlens_k = {run.upload(std::vector<int32_t>{0, keys}), {2, 1, 1, 1}, {1}, DType::i32, 1};
  uint16_t* out = run.output<uint16_t>(static_cast<size_t>(queries * kDh));
  p.out = view(out, DType::bf16, queries, 1, kDh);
  p.scale = kScale;
  p.causal = true;
  CudaContext context = run.context();
  start<Tiles, bf16>(p, context);
  const std::vector<float> want = reference(queries, keys, spoilt);
  const std::vector<uint16_t> got = run.download(out, want.size());
  float* widened = run.upload(table(
      want.size(), [&](size_t i) { return std::bit_cast<float>(static_cast<uint32_t>(got[i]) << 16); }));
  run.expect(name, widened, want, 0.02);  // P and the result are rounded to bf16
}
void run_attention(Run& run) {
  attend(run, "five blocks of keys", 150, 300, false);
  attend(run, "five blocks of keys, the last key spoilt", 150, 300, true);
  attend(run, "one block of keys", 20, 40, false);  // the consumers take no turns
  attend(run, "one block of keys, the last key spoilt", 20, 40, true);
}
const atoms::Atom attention("attention", 90, run_attention);

}  // namespace
}  // namespace warploop::mutants
