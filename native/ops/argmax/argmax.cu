// What:      out[b] = index of the largest logits[b, v]; the lowest index wins a tie, NaN never wins
// Steps:     1. per thread: the best rank key (value, index) of its part of a slice, and whether a value
//               is NaN or +inf
//            2. per block
//            3. the block of a row that arrives last: the best of the row's slices
// Mapping:   grid = rows x slices, block = 256 threads with 4 x 16 bytes each (cuda/logits/logit_slice.cuh):
//            one row of a vocabulary of 152 Ki bf16 keeps 19 SMs busy
// Resources: 0.3 KB shared; workspace: 8 bytes per slice; counters: one per row
// Cost:      one read of the logits, bound by memory
// Numerics:  exact, and the same whatever the order of arrival: integers are compared. A row of NaN alone
//            gives 0.
// Limits:    none beyond check
// Source:    the definition; the last block as in the threadFenceReduction sample of the CUDA toolkit
#include "ops/argmax/argmax.h"

#include "core/error.h"
#include "cuda/device/last_block.cuh"
#include "cuda/launch.h"
#include "cuda/logits/logit_slice.cuh"
#include "cuda/workspace.h"

namespace warploop::cuda {

namespace {

struct ArgmaxArguments {
  Rows logits;
  int64_t V;
  int32_t* out;
  RowStatus* status;  // or null
  int64_t first_row;
  int64_t slices;
  uint64_t* best;      // [rows of this launch, slices]
  uint32_t* arrivals;  // [rows of this launch]
};

/// Of what was seen: the best rank key, 0 for nothing but NaN, with kFinite set if nothing was NaN or +inf.
/// That bit of a key is set whatever the id, because ids are below 2^31.
constexpr uint64_t kFinite = 1u << 31;
struct BetterOf {
  WARPLOOP_DEVICE uint64_t operator()(uint64_t a, uint64_t b) const {
    return LargerOf{}(a & ~kFinite, b & ~kFinite) | (a & b & kFinite);
  }
};

struct ArgmaxPlan {
  BlockScratch<uint64_t> scratch;
  bool is_last;
};

template <int kVector>
__global__ void __launch_bounds__(kSliceThreads) argmax_kernel(const __grid_constant__ ArgmaxArguments p) {
  wait_for_predecessors();
  ArgmaxPlan& plan = shared_plan<ArgmaxPlan>();
  const int64_t row = blockIdx.x / p.slices, slice = blockIdx.x % p.slices;
  const int warps = static_cast<int>(blockDim.x) / kWarpSize;
  const int64_t warp = slice * warps + threadIdx.x / kWarpSize;

  uint64_t best = 0;  // 1.
  bool odd = false;
  LogitSlice<kVector>(p.logits, p.V, p.first_row + row, warp).for_each([&](int64_t token, float value) {
    const uint64_t key = rank_key(value + 0.0f, static_cast<uint32_t>(token));
    if (value == value && key > best) best = key;
    odd |= !(value < INFINITY) && token < p.V;
  });
  best = (best & ~kFinite) | (odd ? 0 : kFinite);
  best = reduce_block(best, kFinite, plan.scratch, BetterOf{});  // 2.

  if (p.slices > 1) {  // 3.
    if (threadIdx.x == 0) p.best[blockIdx.x] = best;
    if (!arrive_last(p.arrivals[row], static_cast<uint32_t>(p.slices), plan.is_last)) return;
    best = kFinite;
    for (int64_t s = threadIdx.x; s < p.slices; s += blockDim.x)
      best = BetterOf{}(best, p.best[row * p.slices + s]);
    best = reduce_block(best, kFinite, plan.scratch, BetterOf{});
  }
  if (threadIdx.x != 0) return;
  const uint64_t key = best | kFinite;
  p.out[p.first_row + row] = key == kFinite ? 0 : static_cast<int32_t>(id_of_rank(key));
  if (p.status) {
    const bool none = key >> 32 == order_key(-INFINITY);
    p.status[p.first_row + row] = !(best & kFinite) ? RowStatus::not_finite
                                  : none            ? RowStatus::no_choice
                                                    : RowStatus::ok;
  }
}

}  // namespace

void argmax(const ArgmaxParams& p, CudaContext& context) {
  const int64_t B = p.logits.size(0), V = p.logits.size(1);
  dispatch_vector<8>(choose_vector(V, p.logits), [&]<int kVector>(std::integral_constant<int, kVector>) {
    const SliceGrid grid = LogitSlice<kVector>::grid_for(V);
    Workspace workspace(context);
    const int64_t fitting = workspace.left() / static_cast<int64_t>(sizeof(uint64_t)) / grid.slices;
    const int64_t rows = std::min<int64_t>({context.num_counters, fitting, B});  // of one launch
    if (rows == 0) fail_execution("a row of ", V, " logits does not fit into the workspace");
    auto* best = workspace.take<uint64_t>(rows * grid.slices);
    for (int64_t first = 0; first < B; first += rows) {
      const int64_t blocks = std::min(rows, B - first) * grid.slices;
      launch<argmax_kernel<kVector>>(context,
                                     {.grid = dim3(static_cast<unsigned>(blocks)),
                                      .threads = grid.threads,
                                      .shared_bytes = sizeof(ArgmaxPlan)},
                                     ArgmaxArguments{rows_of(p.logits), V, p.out.as<int32_t>(),
                                                     p.status ? p.status.as<RowStatus>() : nullptr, first,
                                                     grid.slices, best, context.counters});
    }
  });
}

}  // namespace warploop::cuda
