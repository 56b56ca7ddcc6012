// The matrix product of sm_80, cuda/gemm/tiles.cuh: the ring of stages goes round twice, the last step uses
// the stage that the sums overwrite, no size is a multiple of the tile.
#include "cuda/gemm/tiles.cuh"

#include "cuda/launch.h"
#include "product_problem.h"
#include "simt/launch.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

using Shape = TileShape<32, 64, 16, 32, 3, 1>;
constexpr int kRows = 40, kColumns = 78, kPaddedColumns = 80, kDepth = 6 * Shape::kDepth + 24;
constexpr int kOutStride = 84, kXStride = kDepth + 8;

void run_tiles(Run& run) {
  const ProductSizes sizes{kRows, kColumns, kPaddedColumns, kDepth, kXStride, kOutStride};
  Product p = product_problem(run, sizes);
  p.groups.count = 1;
  p.tiles = {(kRows + Shape::kRows - 1) / Shape::kRows,
             (kPaddedColumns + Shape::kColumns - 1) / Shape::kColumns};
  p.splits = 1;
  launch<multiply_tiles<bf16, Shape, false, true>>(
      run.context(), {dim3(static_cast<unsigned>(p.tiles.count())), Shape::kThreads, sizeof(TilePlan<Shape>)},
      p);
  run.expect("out", static_cast<float*>(p.epilogue.out), product_answer(sizes));
  const simt::Counters counters = simt::total_counters();
  if (counters.bank_conflicts != 0) {
    fail_execution(counters.bank_conflicts, " bank conflicts in ", counters.matrix_loads, " matrix loads");
  }
}
const atoms::Atom tiles("tiles", 80, run_tiles);

}  // namespace
}  // namespace warploop::mutants
