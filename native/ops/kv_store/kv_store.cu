// What:      pages[slot / Ps, slot % Ps, h, :] = x[t, h, :] with slot = slots[t], for keys and values;
//            slot -1: nothing
// Steps:     1. load vectors of the heads and the slots   2. verify the slot   3. convert and store
//            Codes: 1. verify the slot   2. find the largest element of a head   3. its codes and its scale
// Mapping:   grid = (vectors of k or v / (256 kBatch), 2): y is 0 for keys, 1 for values; one launch serves
//            both. The threads of a token read its slot from the cache. Codes: a warp per head, eight to a
//            block
// Resources: no shared memory
// Cost:      bytes of k and v read, as many elements written; bound by memory, at small T by the launch
// Numerics:  equal dtypes keep every bit; a conversion rounds to nearest even; codes: core/kv_codes.h
// Limits:    all offsets into the pages are 64-bit
// Source:    Kwon et al.: Efficient Memory Management for LLM Serving with PagedAttention, arXiv 2309.06180,
//            section 4
#include "ops/kv_store/kv_store.h"

#include <algorithm>

#include "cuda/device/codes.cuh"
#include "cuda/device/fault.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

constexpr int kBatch = 2;  // vectors of a thread

struct Side {
  Rows x;      // [T, Hkv, Dh]
  Rows pages;  // [P, Ps, Hkv, Dh]
  VectorGrid grid;
};

struct Scatter {
  Side sides[2];  // keys, values
  const int32_t* slots;
  int64_t num_slots;
  int32_t page_size;
  FaultSite fault;
};

template <int kVector>
__global__ void __launch_bounds__(kVectorThreads) kv_store_kernel(const __grid_constant__ Scatter p) {
  wait_for_predecessors();
  const Side& side = p.sides[blockIdx.y];
  uint4 vectors[kBatch] = {};
  int32_t slots[kBatch] = {};
  int64_t tokens[kBatch] = {}, columns[kBatch] = {};
  for_vectors<kBatch>(
      side.grid,
      [&](int i, const RowPlace& place, int64_t vector) {  // 1.
        vectors[i] = load_vector<kVector>(side.x, offset_of(side.x, place) + vector * kVector);
        tokens[i] = place.outer[1];
        slots[i] = p.slots[tokens[i]];
        columns[i] = place.outer[2] * side.pages.strides[2] + vector * kVector;
      },
      [&](int i) {
        const int32_t slot = slots[i];
        if (slot == -1) return;
        if (slot < -1 || slot >= p.num_slots)
          return raise_fault(p.fault, slot, p.num_slots, tokens[i]);  // 2.
        const int64_t row =
            slot / p.page_size * side.pages.strides[0] + slot % p.page_size * side.pages.strides[1];
        const uint4 stored = convert<kVector>(vectors[i], side.x.dtype, side.pages.dtype);
        store_vector<kVector>(side.pages, row + columns[i], stored);  // 3.
      });
}

constexpr int kWarps = 8;

struct CodeSide {
  Rows x, pages;
  Rows scales;  // [P, Ps, Hkv]
  int32_t vectors;
};
struct CodeScatter {
  CodeSide sides[2];  // keys, values
  const int32_t* slots;
  int64_t T, num_slots;
  int32_t heads;
  int32_t page_size;
  FaultSite fault;
};

template <int kVector>
__global__ void __launch_bounds__(kWarps* kWarpSize)
    kv_store_codes_kernel(const __grid_constant__ CodeScatter p) {
  wait_for_predecessors();
  const CodeSide& side = p.sides[blockIdx.y];
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + warp_index(), token = row / p.heads;
  if (token >= p.T) return;
  const int64_t head = row - token * p.heads;
  const int32_t slot = p.slots[token];  // 1.
  if (slot == -1) return;
  if (slot < -1 || slot >= p.num_slots) return raise_fault(p.fault, slot, p.num_slots, token);
  const int64_t page = slot / p.page_size, at = slot % p.page_size;
  const int64_t scale = page * side.scales.strides[1] + at * side.scales.strides[2] + head;
  store_head_as_codes<kVector>(  // 2. and 3.
      side.x, token * side.x.strides[1] + head * side.x.strides[2], side.vectors, side.pages,
      page * side.pages.strides[0] + at * side.pages.strides[1] + head * side.pages.strides[2],
      reinterpret_cast<float*>(side.scales.data) + scale);
}

constexpr const char* kBadSlot = "slots[{index}] = {value} is outside [-1, {limit})";

void store_as_codes(const KvStoreParams& p, CudaContext& context) {
  const int vector = std::min(choose_vector(p.k.size(2), p.k), choose_vector(p.v.size(2), p.v));
  dispatch_vector<8>(vector, [&]<int kVector>(std::integral_constant<int, kVector>) {
    const auto side = [](const TensorView& x, const TensorView& pages, const TensorView& scales) -> CodeSide {
      return {rows_of(x), rows_of(pages), rows_of(scales), static_cast<int32_t>(x.size(2) / kVector)};
    };
    const CodeScatter params{{side(p.k, p.k_pages, p.k_scales), side(p.v, p.v_pages, p.v_scales)},
                             p.slots.as<int32_t>(),
                             p.k.size(0),
                             p.k_pages.size(0) * p.k_pages.size(1),
                             static_cast<int32_t>(p.k.size(1)),
                             static_cast<int32_t>(p.k_pages.size(1)),
                             context.fault_site(OpId::kv_store, kBadSlot)};
    const int64_t heads = p.k.size(0) * p.k.size(1);
    launch<kv_store_codes_kernel<kVector>>(
        context,
        {.grid = dim3(static_cast<unsigned>((heads + kWarps - 1) / kWarps), 2),
         .threads = kWarps * kWarpSize},
        params);
  });
}

}  // namespace

void kv_store(const KvStoreParams& p, CudaContext& context) {
  if (is_code(p.k_pages.dtype)) return store_as_codes(p, context);
  const int vector =
      std::min(choose_vector(p.k.size(2), p.k, p.k_pages), choose_vector(p.v.size(2), p.v, p.v_pages));
  dispatch_vector<8>(vector, [&]<int kVector>(std::integral_constant<int, kVector>) {
    const auto side = [](const TensorView& x, const TensorView& pages) -> Side {
      return {rows_of(x), rows_of(pages), vector_grid(shape_of(x), kVector)};
    };
    const Scatter params{{side(p.k, p.k_pages), side(p.v, p.v_pages)},
                         p.slots.as<int32_t>(),
                         p.k_pages.size(0) * p.k_pages.size(1),
                         static_cast<int32_t>(p.k_pages.size(1)),
                         context.fault_site(OpId::kv_store, kBadSlot)};
    LaunchShape shape =
        launch_shape<kBatch>(std::max(params.sides[0].grid.total, params.sides[1].grid.total));
    shape.grid.y = 2;
    launch<kv_store_kernel<kVector>>(context, shape, params);
  });
}

}  // namespace warploop::cuda
