// What:      out[t] = table[rows[t], cols[t]], without cols out[l, t] = table[rows[t], l]; 0 where rows[t] is
//            -1
// Steps:     1. verify the cell   2. read it
// Mapping:   a thread per entry; grid = T / 256, without cols L T / 256
// Resources: no shared memory
// Cost:      16 bytes per entry and a line of the table each; at the sizes of a step, the launch
// Source:    the definition
#include "ops/table_gather/table_gather.h"

#include "cuda/device/fault.cuh"
#include "cuda/launch.h"

namespace warploop::cuda {

namespace {

constexpr int kThreads = 256;

struct Gather {
  const int32_t *table, *rows, *cols;
  int32_t* out;
  int64_t T, R, L, row_stride;
  int64_t entries;
  FaultSite bad_row, bad_col;
};

__global__ void __launch_bounds__(kThreads) table_gather_kernel(const __grid_constant__ Gather p) {
  wait_for_predecessors();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= p.entries) return;
  const int64_t t = p.cols ? i : i % p.T, row = p.rows[t];
  if (row == -1) {
    p.out[i] = 0;
    return;
  }
  const int64_t col = p.cols ? p.cols[t] : i / p.T;
  if (row < 0 || row >= p.R) return raise_fault(p.bad_row, row, p.R, t);  // 1.
  if (col < 0 || col >= p.L) return raise_fault(p.bad_col, col, p.L, t);
  p.out[i] = p.table[row * p.row_stride + col];  // 2.
}

}  // namespace

void table_gather(const TableGatherParams& p, CudaContext& context) {
  const int64_t T = p.rows.size(0), L = p.table.size(1), entries = p.cols ? T : L * T;
  const Gather params{
      p.table.as<int32_t>(),
      p.rows.as<int32_t>(),
      p.cols.as<int32_t>(),
      p.out.as<int32_t>(),
      T,
      p.table.size(0),
      L,
      p.table.stride(0),
      entries,
      context.fault_site(OpId::table_gather, "rows[{index}] = {value} is outside [0, R={limit})"),
      context.fault_site(OpId::table_gather, "cols[{index}] = {value} is outside [0, L={limit})")};
  const auto blocks = static_cast<unsigned>((entries + kThreads - 1) / kThreads);
  launch<table_gather_kernel>(context, {.grid = dim3(blocks), .threads = kThreads}, params);
}

}  // namespace warploop::cuda
