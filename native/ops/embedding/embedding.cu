// What:      out[t] = table[ids[t]], converted to the dtype of out
// Steps:     1. verify the id   2. load vectors of its row   3. convert and store them
// Mapping:   grid = vectors of out / (256 kBatch); the threads of a row read its id from the cache
// Resources: no shared memory
// Cost:      bytes of T rows read and written; bound by memory
// Numerics:  equal dtypes keep every bit; otherwise widening is exact and narrowing rounds to nearest even
// Source:    the definition
#include "ops/embedding/embedding.h"

#include "cuda/device/fault.cuh"
#include "cuda/device/vectors.cuh"
#include "cuda/gemm/unpack_rows.cuh"
#include "formats/dense.h"

namespace warploop::cuda {

namespace {

constexpr int kBatch = 4;  // vectors of a thread

struct Gather {
  const int32_t* ids;
  Rows table, out;
  int64_t V;
  VectorGrid grid;
  FaultSite fault;
};

template <int kVector>
__global__ void __launch_bounds__(kVectorThreads) embedding_kernel(const __grid_constant__ Gather p) {
  wait_for_predecessors();
  uint4 vectors[kBatch] = {};
  int64_t to[kBatch] = {};
  for_vectors<kBatch>(
      p.grid,
      [&](int i, const RowPlace& place, int64_t vector) {
        const int64_t id = p.ids[place.outer[2]];
        to[i] = id < 0 || id >= p.V ? -1 : offset_of(p.out, place) + vector * kVector;
        if (to[i] < 0) return raise_fault(p.fault, id, p.V, place.outer[2]);                     // 1.
        vectors[i] = load_vector<kVector>(p.table, id * p.table.strides[2] + vector * kVector);  // 2.
      },
      [&](int i) {
        if (to[i] < 0) return;
        store_vector<kVector>(p.out, to[i], convert<kVector>(vectors[i], p.table.dtype, p.out.dtype));  // 3.
      });
}

}  // namespace

void embedding(const EmbeddingParams& p, CudaContext& context) {
  const FaultSite fault =
      context.fault_site(OpId::embedding, "ids[{index}] = {value} is outside [0, V={limit})");
  if (p.weight.data && p.weight.format != WeightFormat::dense)
    return unpack_rows(p.weight, 0, p.out, p.ids.as<int32_t>(), fault, context);
  const RowShape shape = shape_of(p.out);
  const TensorView table = p.weight.data ? Dense::rows(p.weight) : p.table;
  dispatch_vector<8>(
      choose_vector(shape.width, table, p.out), [&]<int kVector>(std::integral_constant<int, kVector>) {
        const Gather params{p.ids.as<int32_t>(),         rows_of(table), rows_of(p.out), table.size(0),
                            vector_grid(shape, kVector), fault};
        launch<embedding_kernel<kVector>>(context, launch_shape<kBatch>(params.grid.total), params);
      });
}

}  // namespace warploop::cuda
