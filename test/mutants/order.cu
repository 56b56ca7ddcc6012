// A kernel that may start before its predecessor has ended, table_gather: all of its accesses are plain loads and stores, which
// only the race checker sees.
#include "ops/table_gather/table_gather.cu"

#include "program.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

TensorView ints(int32_t* data, int64_t rows, int64_t columns) {
  TensorView t{};
  t.data = data;
  t.dtype = DType::i32;
  t.rank = rows == 0 ? 1 : 2;
  t.sizes[0] = rows == 0 ? columns : rows, t.sizes[1] = rows == 0 ? 1 : columns;
  t.strides[0] = rows == 0 ? 1 : columns, t.strides[1] = rows == 0 ? 0 : 1;
  return t;
}

void run_order(Run& run) {
  constexpr int kRows = 5, kColumns = 7, kCells = kThreads;  // every thread has one
  const auto row = [](size_t i) { return static_cast<int32_t>(i % kRows); };
  const auto column = [](size_t i) { return static_cast<int32_t>(i % kColumns); };
  const auto cell = [](size_t i) { return static_cast<int32_t>(1000 + i); };
  int32_t* out = run.output<int32_t>(kCells);
  TableGatherParams p{};
  p.table = ints(run.upload(table(kRows * kColumns, cell)), kRows, kColumns);
  p.rows = ints(run.upload(table(kCells, row)), 0, kCells);
  p.cols = ints(run.upload(table(kCells, column)), 0, kCells);
  p.out = ints(out, 0, kCells);
  CudaContext context = run.context();
  context.overlaps = true;
  table_gather(p, context);
  run.expect("out", out, table(kCells, [&](size_t i) {
               return cell(static_cast<size_t>(row(i) * kColumns + column(i)));
             }));
}
const atoms::Atom order("order", 90, run_order);

}  // namespace
}  // namespace warploop::mutants
