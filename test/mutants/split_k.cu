// The matrix product of sm_90 whose K the blocks of a cluster share, linear.split.sm90.cu: clusters of two and four,
// parts of K of different length, and none.
#include "ops/linear/linear.split.sm90.cu"

#include "program.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

constexpr int kRows = 70, kColumns = 136, kPaddedColumns = 144, kOutStride = 144;

template <class Tile>
void multiply(Run& run, const char* name, int K) {
  Product p{};
  p.x = run.upload(matrix(kRows, K, K, 1));
  p.x_stride = K;
  p.x_rows = p.rows = kRows;
  p.weight = run.upload(matrix(kPaddedColumns, K, K, 2));
  p.weight_rows = kPaddedColumns;
  p.K = p.padded_K = K;
  float* out = run.output<float>(kRows * kOutStride);
  p.epilogue.out = out;
  p.epilogue.out_stride = kOutStride;
  p.epilogue.out_dtype = DType::f32;
  p.epilogue.columns = kColumns;
  p.epilogue.quads = true;
  cuda::run<Tile>(p, run.context());
  run.expect(name, out, product(kRows, kColumns, K, kOutStride, K, 1, K, 2));
}
void run_split_k(Run& run) {
  multiply<SplitTile<bf16, 64, 128, 2, 3>>(run, "two blocks", 6 * 64 + 40);
  multiply<SplitTile<bf16, 128, 128, 2, 3>>(run, "two blocks of two warpgroups", 6 * 64 + 40);
  multiply<SplitTile<bf16, 64, 128, 4, 3>>(run, "four blocks, one without a part", 3 * 64);
}
const atoms::Atom split_k("split_k", 90, run_split_k);

}  // namespace
}  // namespace warploop::mutants
