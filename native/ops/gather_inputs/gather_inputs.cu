// What:      out[r, k] = x[order[r] / top_k, input_order[e, k]] for the expert e that row r belongs to
// Steps:     1. the expert and the source of the row   2. verify the input and read it   3. store
// Mapping:   grid = elements of out / (256 kBatch), neighbours in neighbouring threads; a thread looks for
//            the expert of each of its elements by halves, in lines that the block shares
// Resources: no shared memory
// Cost:      bytes of M rows written and of as many lines read as they have columns: the columns of a row lie
//            anywhere in it, and come from L1 and L2. A launch, at the sizes of a decode step
// Source:    the definition
#include "ops/gather_inputs/gather_inputs.h"

#include "cuda/device/fault.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

constexpr int kBatch = 4;  // elements of a thread

struct Gather {
  Rows x, out;
  const int32_t *input_order, *offsets, *order;
  int64_t input_order_stride, E, S, K;
  int32_t top_k;
  VectorGrid grid;
  FaultSite bad_order, bad_input;
};

/// The row of x behind row r; -1: it is refused.
WARPLOOP_DEVICE int64_t source_of(const Gather& p, int64_t r) {
  if (!p.order) return r;
  const int32_t source = p.order[r];
  if (source >= 0 && source / p.top_k < p.S) return source / p.top_k;
  raise_fault(p.bad_order, source, p.S, r);
  return -1;
}

/// Where element k of row r comes from; -1: from nowhere.
WARPLOOP_DEVICE int64_t place_in_x(const Gather& p, int64_t r, int64_t k) {
  const int64_t expert = GatherInputsParams::expert_in(p.offsets, p.E, r);  // 1.
  if (expert < 0) return -1;
  const int64_t source = source_of(p, r);
  if (source < 0) return -1;
  const int64_t input = p.input_order[expert * p.input_order_stride + k];  // 2.
  if (input >= 0 && input < p.K) return source * p.x.strides[2] + input;
  raise_fault(p.bad_input, input, p.K, k, expert);
  return -1;
}

__global__ void __launch_bounds__(kVectorThreads) gather_inputs_kernel(const __grid_constant__ Gather p) {
  wait_for_predecessors();
  uint4 values[kBatch] = {};
  int64_t to[kBatch] = {};
  for_vectors<kBatch>(
      p.grid,
      [&](int i, const RowPlace& place, int64_t k) {
        const int64_t from = place_in_x(p, place.outer[2], k);
        to[i] = from < 0 ? -1 : offset_of(p.out, place) + k;
        if (from >= 0) values[i] = load_vector<1>(p.x, from);
      },
      [&](int i) {
        if (to[i] >= 0) store_vector<1>(p.out, to[i], values[i]);  // 3.
      });
}

}  // namespace

void gather_inputs(const GatherInputsParams& p, CudaContext& context) {
  const auto site = [&](const char* text) { return context.fault_site(OpId::gather_inputs, text); };
  const Gather params{rows_of(p.x),
                      rows_of(p.out),
                      p.input_order.as<int32_t>(),
                      p.offsets.as<int32_t>(),
                      p.order.as<int32_t>(),
                      p.input_order.stride(0),
                      p.input_order.size(0),
                      p.x.size(0),
                      p.out.size(1),
                      p.top_k,
                      vector_grid(shape_of(p.out), 1),
                      site("order[{index}] = {value} is outside the {limit} rows of x times topK"),
                      site("inputOrder[{column}, {index}] = {value} is outside [0, K={limit})")};
  launch<gather_inputs_kernel>(context, launch_shape<kBatch>(params.grid.total), params);
}

}  // namespace warploop::cuda
