// Blocks that depend on each other within a launch: the splits of a matrix product, cuda/gemm/finish.cuh, of which the
// last adds what the others have left in the workspace, and the slices of a row of argmax.
#include "cuda/gemm/tiles.cuh"
#include "ops/argmax/argmax.cu"

#include "product_problem.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

using Shape = TileShape<32, 64, 16, 32, 3, 1>;
constexpr int kRows = 40, kColumns = 80, kDepth = 12 * Shape::kDepth, kSplits = 3;

void run_splits(Run& run) {
  const ProductSizes sizes{kRows, kColumns, kColumns, kDepth, kDepth, kColumns};
  Product p = product_problem(run, sizes);
  p.groups.count = 1;
  p.tiles = {(kRows + Shape::kRows - 1) / Shape::kRows, (kColumns + Shape::kColumns - 1) / Shape::kColumns};
  p.splits = kSplits;
  const auto tiles = static_cast<size_t>(p.tiles.count());
  p.partials = run.output<float>(tiles * kSplits * Shape::kRows * Shape::kColumns);
  p.counters = run.upload(std::vector<uint32_t>(tiles, 0));
  launch<multiply_tiles<bf16, Shape, false, true>>(
      run.context(),
      {dim3(static_cast<unsigned>(p.tiles.count() * kSplits)), Shape::kThreads, sizeof(TilePlan<Shape>)}, p);
  run.expect("out", static_cast<float*>(p.epilogue.out), product_answer(sizes));
  run.expect("counters", p.counters, std::vector<uint32_t>(tiles, 0));
}
const atoms::Atom splits("splits", 80, run_splits);

void run_slices(Run& run) {
  constexpr int kTokens = 30000, kHighest = 17777;
  auto values = table(2 * kTokens, [](size_t i) { return static_cast<float>(small_integer(i, 3)); });
  values[kHighest] = values[kTokens + kHighest] = 9;
  ArgmaxParams p{};
  p.logits.data = reinterpret_cast<std::byte*>(run.upload(values));
  p.logits.dtype = DType::f32;
  p.logits.rank = 2;
  p.logits.sizes[0] = 2, p.logits.sizes[1] = kTokens;
  p.logits.strides[0] = kTokens, p.logits.strides[1] = 1;
  int32_t* out = run.output<int32_t>(2);
  p.out.data = reinterpret_cast<std::byte*>(out);
  p.out.dtype = DType::i32;
  p.out.rank = 1;
  p.out.sizes[0] = 2, p.out.strides[0] = 1;
  CudaContext context = run.context();
  context.workspace_bytes = 4096;
  context.workspace = reinterpret_cast<std::byte*>(run.output<uint64_t>(4096 / 8));
  context.num_counters = 4;
  context.counters = run.upload(std::vector<uint32_t>(4, 0));
  argmax(p, context);
  run.expect("argmax", out, std::vector<int32_t>(2, kHighest));
}
const atoms::Atom slices("slices", 80, run_slices);

}  // namespace
}  // namespace warploop::mutants
