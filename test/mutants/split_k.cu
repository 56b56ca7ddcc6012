// The matrix product of sm_90 whose K the blocks of a cluster share, linear.split.sm90.cu: clusters of two and four,
// parts of K of different length, and none.
#include "ops/linear/linear.split.sm90.cu"

#include "product_problem.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

constexpr int kRows = 70, kColumns = 136, kPaddedColumns = 144, kOutStride = 144;

template <class Tile>
void multiply(Run& run, const char* name, int K) {
  const ProductSizes sizes{kRows, kColumns, kPaddedColumns, K, K, kOutStride};
  const Product p = product_problem(run, sizes);
  cuda::run<Tile>(p, run.context());
  run.expect(name, static_cast<float*>(p.epilogue.out), product_answer(sizes));
}
void run_split_k(Run& run) {
  multiply<SplitTile<bf16, 64, 128, 2, 3>>(run, "two blocks", 6 * 64 + 40);
  multiply<SplitTile<bf16, 128, 128, 2, 3>>(run, "two blocks of two warpgroups", 6 * 64 + 40);
  multiply<SplitTile<bf16, 64, 128, 4, 3>>(run, "four blocks, one without a part", 3 * 64);
}
const atoms::Atom split_k("split_k", 90, run_split_k);

}  // namespace
}  // namespace warploop::mutants
