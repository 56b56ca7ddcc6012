// What:      table[rows[n], cols[n]] = values[n]; entries with row -1 are skipped
// Steps:     1. verify the cell   2. write it
// Mapping:   a thread per entry; grid = N / 256. Of entries that name one cell, which callers avoid, any may
//            win.
// Resources: no shared memory
// Cost:      16 bytes per entry and a line of the table each; at the sizes of a step, the launch
// Source:    the definition
#include "ops/table_scatter/table_scatter.h"

#include "cuda/device/fault.cuh"
#include "cuda/launch.h"

namespace warploop::cuda {

namespace {

constexpr int kThreads = 256;

struct Scatter {
  int32_t* table;
  const int32_t *rows, *cols, *values;
  int64_t N, R, L, row_stride;
  FaultSite bad_row, bad_col;
};

__global__ void __launch_bounds__(kThreads) table_scatter_kernel(const __grid_constant__ Scatter p) {
  wait_for_predecessors();
  const int64_t n = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (n >= p.N) return;
  const int64_t row = p.rows[n], col = p.cols[n];
  if (row == -1) return;
  if (row < 0 || row >= p.R) return raise_fault(p.bad_row, row, p.R, n);  // 1.
  if (col < 0 || col >= p.L) return raise_fault(p.bad_col, col, p.L, n);
  p.table[row * p.row_stride + col] = p.values[n];  // 2.
}

}  // namespace

void table_scatter(const TableScatterParams& p, CudaContext& context) {
  const int64_t N = p.rows.size(0);
  const Scatter params{
      p.table.as<int32_t>(),
      p.rows.as<int32_t>(),
      p.cols.as<int32_t>(),
      p.values.as<int32_t>(),
      N,
      p.table.size(0),
      p.table.size(1),
      p.table.stride(0),
      context.fault_site(OpId::table_scatter, "rows[{index}] = {value} is outside [0, R={limit})"),
      context.fault_site(OpId::table_scatter, "cols[{index}] = {value} is outside [0, L={limit})")};
  const auto blocks = static_cast<unsigned>((N + kThreads - 1) / kThreads);
  launch<table_scatter_kernel>(context, {.grid = dim3(blocks), .threads = kThreads}, params);
}

}  // namespace warploop::cuda
