// What:      log softmax(logits) of one token per row and of the row's N best tokens, best first, equal ones
//            by lower index
// Steps:     summarize_kernel:
//            1. per slice: block maxima, highest logit, sum of exp(l - highest of the slice), whether
//               any is NaN or +inf
//            report_kernel:
//            2. log of the sum over the row
//            3. the chosen token
//            4. the rank cut at N, and the tokens above it
//            5. their order: the rank of each is the number of better ones
// Mapping:   1. grid = rows x slices, 256 threads with 4 x 16 bytes each (cuda/logits/logit_slice.cuh);
//            2. to 5. grid = rows, a warp per 2048 tokens, at most 1024 threads
// Resources: 20 KB shared; workspace: 4 bytes per 64 logits and 8 per slice; rows beyond it take another
//            launch
// Cost:      one read of the logits, bound by memory; 4. reads the maxima and the few blocks that hold the
//            best tokens
// Numerics:  f32 exponentials, summed in f32 within a slice and in double over the slices, in an order that
//            depends on V alone. NaN counts as -inf, +inf as the largest finite number; -inf has
//            log-probability -inf, also in a row of nothing else.
// Limits:    none beyond check
// Source:    the definition; the merge of (highest, sum): Milakov, Gimelshein, arXiv 1805.02867, section 3.1
#include "ops/logprobs/logprobs.h"

#include "core/error.h"
#include "cuda/device/fault.cuh"
#include "cuda/launch.h"
#include "cuda/logits/logit_cutoff.cuh"
#include "cuda/logits/logit_slice.cuh"
#include "cuda/workspace.h"

namespace warploop::cuda {

namespace {

/// Of a slice: its highest logit, and the sum of exp(l - highest); 0 where the highest is -inf.
struct SliceSum {
  float highest;
  float sum;
  float odd;  // 1: a logit is NaN or +inf, else 0
};

struct LogprobsArguments {
  Rows logits;
  int64_t V, N;
  int64_t first_row;  // of this launch
  int64_t slices;
  const int32_t* ids;  // [B], as the outputs [B], [B, N]
  float* chosen;
  int32_t* top_ids;
  float* top_values;
  RowStatus* status;  // [B], or null
  float* maxima;      // [rows of this launch, blocks]
  SliceSum* sums;     // [rows of this launch, slices]
  FaultSite fault;

  WARPLOOP_DEVICE float* maxima_of(int64_t row) const {
    return maxima + row * ((V + kLogitBlock - 1) / kLogitBlock);
  }
};

template <int kVector>
__global__ void __launch_bounds__(kSliceThreads, 3)
    summarize_kernel(const __grid_constant__ LogprobsArguments p) {
  wait_for_predecessors();
  auto& scratch = shared_plan<BlockScratch<float>>();
  const int64_t row = blockIdx.x / p.slices;
  const int64_t warp = blockIdx.x % p.slices * (blockDim.x / kWarpSize) + threadIdx.x / kWarpSize;
  LogitSlice<kVector> slice(p.logits, p.V, p.first_row + row, warp);
  float highest = -INFINITY, sum = 0, odd = 0;  // 1.
  slice.for_each([&](int64_t token, float& value) {
    if (!(value < INFINITY) && token < p.V) odd = 1;
    value = comparable(value);
    highest = fmaxf(highest, value);
  });
  if (p.N > 0) slice.store_maxima(p.maxima_of(row), p.V);
  highest = max_block(highest, scratch);
  slice.for_each([&](int64_t, float& value) { sum += value > -INFINITY ? expf(value - highest) : 0.0f; });
  sum = sum_block(sum, scratch);
  odd = max_block(odd, scratch);
  if (threadIdx.x == 0) p.sums[blockIdx.x] = {highest, sum, odd};
}

struct ReportPlan {
  CutoffPlan cutoff;
  BlockScratch<float> floats;
  BlockScratch<double> sums;
  double base;
  uint64_t best[kMaxTopLogprobs];  // rank keys, in any order
  uint32_t count;
};

/// 2. What is subtracted from a logit, by one thread: doubles may be slow. In a row of -inf alone, everything
/// stays -inf.
WARPLOOP_DEVICE float find_base(const LogprobsArguments& p, ReportPlan& plan) {
  const SliceSum* sums = p.sums + blockIdx.x * p.slices;
  float highest = -INFINITY, odd = 0;
  for (int64_t s = threadIdx.x; s < p.slices; s += blockDim.x) {
    highest = fmaxf(highest, sums[s].highest);
    odd = fmaxf(odd, sums[s].odd);
  }
  highest = max_block(highest, plan.floats);
  odd = max_block(odd, plan.floats);
  if (threadIdx.x == 0 && p.status) {
    p.status[p.first_row + blockIdx.x] = odd > 0                ? RowStatus::not_finite
                                         : highest == -INFINITY ? RowStatus::no_choice
                                                                : RowStatus::ok;
  }
  double total = 0;
  for (int64_t s = threadIdx.x; s < p.slices; s += blockDim.x) {
    if (sums[s].sum > 0) total += static_cast<double>(sums[s].sum * expf(sums[s].highest - highest));
  }
  total = sum_block(total, plan.sums);
  if (threadIdx.x == 0) {
    plan.base = highest == -INFINITY ? 0 : highest + std::log(total);
    plan.count = 0;
  }
  sync_block();
  return highest;
}

__global__ void __launch_bounds__(kRowThreads) report_kernel(const __grid_constant__ LogprobsArguments p) {
  wait_for_predecessors();
  ReportPlan& plan = shared_plan<ReportPlan>();
  const int64_t b = p.first_row + blockIdx.x, N = p.N;
  const std::byte* logits =
      p.logits.data + b * p.logits.strides[kOuterAxes - 1] * float_bytes(p.logits.dtype);
  const LogitRow row{logits,
                     p.logits.dtype,
                     nullptr,
                     p.maxima_of(blockIdx.x),
                     static_cast<uint32_t>(p.V),
                     find_base(p, plan)};
  const double base = plan.base;
  if (threadIdx.x == 0) {  // 3.
    const int32_t id = p.ids[b];
    if (id < 0 || id >= p.V) {
      raise_fault(p.fault, id, p.V, b);
    } else {
      p.chosen[b] = static_cast<float>(row.value_of(static_cast<uint32_t>(id)) - base);
    }
  }
  if (N == 0) return;

  const Mass wanted = static_cast<Mass>(N);  // 4.
  CutoffSearch search(row, 64, plan.cutoff);
  Cutoff kept = search.shorten(
      search.enclose_best(wanted), [](float) { return Mass{1}; }, [&](Mass) { return wanted; });
  if (search.total() < wanted) kept = {-INFINITY, search.end_of_equal(-INFINITY, wanted - search.total())};
  row.visit([&](float highest) { return highest >= kept.value; },
            [&](uint32_t id, float v) {
              if (id < row.V && kept.keeps(v, id)) plan.best[atomic_add(&plan.count, 1u)] = rank_key(v, id);
            });
  sync_block();
  for (int64_t n = threadIdx.x; n < N; n += blockDim.x) {  // 5.
    const uint64_t key = plan.best[n];
    int rank = 0;
    for (int64_t m = 0; m < N; m++) rank += plan.best[m] > key;
    p.top_ids[b * N + rank] = static_cast<int32_t>(id_of_rank(key));
    p.top_values[b * N + rank] = static_cast<float>(value_of_key(static_cast<uint32_t>(key >> 32)) - base);
  }
}

}  // namespace

void logprobs(const LogprobsParams& p, CudaContext& context) {
  const int64_t B = p.logits.size(0), V = p.logits.size(1), blocks = (V + kLogitBlock - 1) / kLogitBlock;
  dispatch_vector<8>(choose_vector(V, p.logits), [&]<int kVector>(std::integral_constant<int, kVector>) {
    const SliceGrid grid = LogitSlice<kVector>::grid_for(V);
    const int64_t row_bytes = grid.slices * static_cast<int64_t>(sizeof(SliceSum)) + blocks * 4;
    Workspace workspace(context);
    const int64_t rows = std::min((workspace.left() - Workspace::kAlign) / row_bytes, B);  // of one launch
    if (rows == 0) fail_execution("a row of ", V, " logits does not fit into the workspace");
    auto* sums = workspace.take<SliceSum>(rows * grid.slices);
    auto* maxima = workspace.take<float>(rows * blocks);
    for (int64_t first = 0; first < B; first += rows) {
      const int64_t count = std::min(rows, B - first);
      const LogprobsArguments arguments{
          .logits = rows_of(p.logits),
          .V = V,
          .N = p.top_ids.size(1),
          .first_row = first,
          .slices = grid.slices,
          .ids = p.ids.as<int32_t>(),
          .chosen = p.chosen.as<float>(),
          .top_ids = p.top_ids.as<int32_t>(),
          .top_values = p.top_values.as<float>(),
          .status = p.status ? p.status.as<RowStatus>() : nullptr,
          .maxima = maxima,
          .sums = sums,
          .fault = context.fault_site(OpId::logprobs, "ids[{index}] = {value} is outside [0, V={limit})")};
      launch<summarize_kernel<kVector>>(context,
                                        {.grid = dim3(static_cast<unsigned>(count * grid.slices)),
                                         .threads = grid.threads,
                                         .shared_bytes = sizeof(BlockScratch<float>)},
                                        arguments);
      launch<report_kernel>(context,
                            {.grid = dim3(static_cast<unsigned>(count)),
                             .threads = threads_per_row(V),
                             .shared_bytes = sizeof(ReportPlan)},
                            arguments);
    }
  });
}

}  // namespace warploop::cuda
