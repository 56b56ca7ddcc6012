// What:      one token per row; the order of the steps is the contract (lib/ops/sample.ts spells it out)
// Steps:     summarize_kernel:
//            1. the mask; block maxima of the allowed logits, +inf where the block has a NaN or +inf; in a
//               row with biases, suppressed tokens or penalties the allowed logits into `processed`
//            choose_kernel:
//            2. bias; suppressed tokens become -inf below the row's least length
//            3. penalties of the tokens in the pool
//            4. block maxima where 2. or 3. ran, and in a row with a NaN or +inf
//            5. temperature 0: argmax
//            6. top-k, min-p, top-p: each shortens the prefix of the ranking that is kept
//            7. draw
// Mapping:   1. grid = rows x slices, 256 threads with 4 x 16 bytes each (cuda/logits/logit_slice.cuh);
//            2. to 7. grid = rows, a warp per 2048 tokens, at most 1024 threads; what a row does not ask for
//            is skipped
// Resources: 17 KB shared; 64 registers, so that 1024 threads fit
// Cost:      one read of the logits in 1., bound by memory; a greedy row adds one block of 64 logits to it.
//            The steps of a row that draws read the maxima, and the blocks whose maximum says that they
//            matter: a few of a peaked distribution, all of a flat one
// Numerics:  f32 logits; the temperature enters only as (l - max) / temperature, so small ones cannot
//            overflow. Probabilities are summed in fixed point: a row's result depends on that row alone and
//            not on the order in which threads arrive. NaN counts as -inf and +inf as the largest finite
//            number; -inf is never chosen; a row without a choice gives 0.
// Limits:    none beyond check
// Source:    Gumbel-max: A* Sampling, arXiv 1411.0030, section 2; top-p: arXiv 1904.09751;
//            min-p: arXiv 2407.01082; repetition penalty: CTRL, arXiv 1909.05858, section 4.1
#include "ops/sample/sample.h"

#include "cuda/device/fault.cuh"
#include "cuda/launch.h"
#include "cuda/logits/logit_cutoff.cuh"
#include "cuda/logits/logit_slice.cuh"
#include "ops/sample/sample.draw.cuh"

namespace warploop::cuda {

static_assert(kSampleBlock == kLogitBlock);

namespace {

struct SampleArguments {
  SampleParams params;
  Rows logits;
  FaultSite bias_fault, suppressed_fault, pool_fault, position_fault;
};

/// The parameters of one row, and where its scratch lies.
struct SampleRow {
  const SampleArguments& args;
  int64_t b;

  WARPLOOP_DEVICE float operator[](SampleFloat column) const {
    return args.params.floats
        .as<float>()[b * static_cast<int>(SampleFloat::count) + static_cast<int>(column)];
  }
  WARPLOOP_DEVICE int32_t operator[](SampleInt column) const {
    return args.params.ints.as<int32_t>()[b * static_cast<int>(SampleInt::count) + static_cast<int>(column)];
  }
  WARPLOOP_DEVICE int32_t position() const { return args.params.positions.as<int32_t>()[b]; }
  WARPLOOP_DEVICE int64_t V() const { return args.params.logits.size(1); }
  WARPLOOP_DEVICE const int32_t* mask() const {
    const TensorView& bitmask = args.params.bitmask;
    return bitmask ? bitmask.as<int32_t>() + b * bitmask.stride(0) : nullptr;
  }
  WARPLOOP_DEVICE float* processed() const {
    return args.params.processed.as<float>() + b * args.params.processed.size(1);
  }
  WARPLOOP_DEVICE float* maxima() const {
    return processed() + args.params.processed.size(1) / (kSampleBlock + 1) * kSampleBlock;
  }

  /// Tokens of the pool that count; 0 when there is nothing to penalise, or when the row's parameters are
  /// faulty.
  WARPLOOP_DEVICE int64_t penalized_length(bool report) const {
    const TensorView& pool = args.params.token_pool;
    const int64_t row = (*this)[SampleInt::pool_row], length = position();
    const int64_t R = pool ? pool.size(0) : 0, L = pool ? pool.size(1) : 0;
    if (row == -1) return 0;
    if (row < 0 || row >= R) {
      if (report) raise_fault(args.pool_fault, row, R, b);
      return 0;
    }
    if (length < 0 || length > L) {
      if (report) raise_fault(args.position_fault, length, L, b);
      return 0;
    }
    const bool neutral = (*this)[SampleFloat::repetition_penalty] == 1 &&
                         (*this)[SampleFloat::presence_penalty] == 0 &&
                         (*this)[SampleFloat::frequency_penalty] == 0;
    return neutral ? 0 : length;
  }
  /// Whether the row is shorter than its least length; the position of the token to come is how long it is.
  WARPLOOP_DEVICE bool is_suppressed() const {
    return args.params.suppressed_ids && position() < (*this)[SampleInt::min_length];
  }
  /// Whether logits change, so that they have to be written down.
  WARPLOOP_DEVICE bool is_processed() const {
    return args.params.bias_ids || is_suppressed() || penalized_length(false) > 0;
  }
};

template <int kVector>
__global__ void __launch_bounds__(kSliceThreads, 3)
    summarize_kernel(const __grid_constant__ SampleArguments p, int64_t slices) {
  wait_for_predecessors();
  const SampleRow row{p, static_cast<int64_t>(blockIdx.x) / slices};
  const int64_t V = row.V(), warps = blockDim.x / kWarpSize;
  const int64_t warp = static_cast<int64_t>(blockIdx.x) % slices * warps + threadIdx.x / kWarpSize;
  LogitSlice<kVector> slice(p.logits, V, row.b, warp);
  const int32_t* mask = row.mask();
  float* processed = row.is_processed() ? row.processed() : nullptr;
  slice.for_each([&](int64_t token, float& value) {  // 1.
    if (token >= V) {
      value = -INFINITY;
      return;
    }
    const bool odd = !(value < INFINITY);
    if (mask && !(static_cast<uint32_t>(mask[token / 32]) >> token % 32 & 1)) value = -INFINITY;
    if (processed) processed[token] = value;
    value = odd ? INFINITY : comparable(value);
  });
  slice.store_maxima(row.maxima(), V);
}

/// 2. The first thread that has an id adds all biases of that id, in their order.
WARPLOOP_DEVICE void add_bias(const SampleRow& row) {
  const SampleParams& p = row.args.params;
  const int64_t Nb = p.bias_ids.size(1), V = row.V();
  const int32_t* ids = p.bias_ids.as<int32_t>() + row.b * Nb;
  const float* bias = p.bias_values.as<float>() + row.b * Nb;
  for (int64_t n = threadIdx.x; n < Nb; n += blockDim.x) {
    if (ids[n] == -1) continue;
    if (ids[n] < 0 || ids[n] >= V) {
      raise_fault(row.args.bias_fault, ids[n], V, row.b, n);
      continue;
    }
    bool is_first = true;
    for (int64_t m = 0; m < n; m++) is_first &= ids[m] != ids[n];
    if (!is_first) continue;
    float value = row.processed()[ids[n]];
    for (int64_t m = n; m < Nb; m++) value += ids[m] == ids[n] ? bias[m] : 0.0f;
    row.processed()[ids[n]] = value;
  }
}

/// 2. The first thread that has an id writes.
WARPLOOP_DEVICE void suppress(const SampleRow& row) {
  const SampleParams& p = row.args.params;
  const int64_t Ns = p.suppressed_ids.size(1), V = row.V();
  const int32_t* ids = p.suppressed_ids.as<int32_t>() + row.b * Ns;
  for (int64_t n = threadIdx.x; n < Ns; n += blockDim.x) {
    if (ids[n] == -1) continue;
    if (ids[n] < 0 || ids[n] >= V) {
      raise_fault(row.args.suppressed_fault, ids[n], V, row.b, n);
      continue;
    }
    bool is_first = true;
    for (int64_t m = 0; m < n && is_first; m++) is_first = ids[m] != ids[n];
    if (is_first) row.processed()[ids[n]] = -INFINITY;
  }
}

/// 3. Each distinct token of the pool row is penalised once, by the thread that marks its count as done.
/// `counts` is cleared where it is used, not as a whole.
WARPLOOP_DEVICE void penalize(const SampleRow& row, int64_t length) {
  constexpr uint32_t kDone = 0xffffffffu;
  const SampleParams& p = row.args.params;
  const int64_t V = row.V(), prompt = row[SampleInt::prompt_length];
  const int32_t* tokens = p.token_pool.as<int32_t>() + row[SampleInt::pool_row] * p.token_pool.stride(0);
  uint32_t* counts = reinterpret_cast<uint32_t*>(p.counts.as<int32_t>()) + row.b * V;
  const auto known = [V](int32_t token) { return token >= 0 && token < V; };
  for (int64_t i = threadIdx.x; i < length; i += blockDim.x) {
    if (known(tokens[i])) store_relaxed(&counts[tokens[i]], 0);  // by several threads, maybe
  }
  sync_block();
  for (int64_t i = threadIdx.x; i < length; i += blockDim.x) {
    if (i >= prompt && known(tokens[i])) atomic_add(&counts[tokens[i]], 1u);
  }
  sync_block();
  const float repetition = row[SampleFloat::repetition_penalty],
              presence = row[SampleFloat::presence_penalty];
  const float frequency = row[SampleFloat::frequency_penalty];
  for (int64_t i = threadIdx.x; i < length; i += blockDim.x) {
    if (!known(tokens[i])) continue;
    const uint32_t count = atomic_max(&counts[tokens[i]], kDone);
    if (count == kDone) continue;
    float logit = row.processed()[tokens[i]];
    logit = logit > 0 ? logit / repetition : logit * repetition;
    if (count > 0) logit -= presence + frequency * static_cast<float>(count);
    row.processed()[tokens[i]] = logit;
  }
}

/// 4.
WARPLOOP_DEVICE void summarize(const LogitRow& row, float* maxima) {
  constexpr uint32_t kStep = LogitRow::kTogether;
  const uint32_t warps = blockDim.x / kWarpSize, blocks = row.blocks();
  for (uint32_t first = threadIdx.x / kWarpSize * kStep; first < blocks; first += warps * kStep) {
    LogitRow::Values values;
    row.load(first, (1u << SmallerOf{}(kStep, blocks - first)) - 1, values);
#pragma unroll
    for (uint32_t i = 0; i < kStep; i++) {
      const float highest = max_lanes(fmaxf(values[i][0], values[i][1]));
      if (lane_index() == 0 && first + i < blocks) maxima[first + i] = highest;
    }
  }
}

struct SamplePlan {
  CutoffPlan cutoff;
  DrawPlan draw;
  double lowest;
};

/// 5. The first token that has the highest logit.
WARPLOOP_DEVICE uint32_t first_highest(const LogitRow& row, BlockScratch<uint32_t>& scratch) {
  uint32_t first = kEveryId;
  row.visit([&](float highest) { return highest == row.highest; },
            [&](uint32_t id, float v) {
              if (v == row.highest && id < first) first = id;
            });
  return reduce_block(first, kEveryId, scratch, SmallerOf{});
}

/// 6.
WARPLOOP_DEVICE Cutoff filter(const SampleRow& options, const LogitRow& row, const Temperature& temperature,
                              SamplePlan& plan) {
  Cutoff kept{-INFINITY, 0};
  const int32_t top_k = options[SampleInt::top_k];
  const float min_p = options[SampleFloat::min_p], top_p = options[SampleFloat::top_p];
  CutoffSearch search(row, 64 * fmaxf(temperature.inverse, 1.0f), plan.cutoff);
  if (top_k > 0 && static_cast<uint32_t>(top_k) < row.V) {
    const Mass wanted = static_cast<Mass>(top_k);
    kept = search.shorten(
        search.enclose_best(wanted), [](float) { return Mass{1}; }, [&](Mass) { return wanted; });
  }
  if (min_p > 0) {
    // p >= min_p * pmax, in logits; the best token always stays. One thread computes it: doubles may be slow.
    if (threadIdx.x == 0) {
      plan.lowest = row.highest + std::log(fmin(static_cast<double>(min_p), 1.0)) * temperature.value;
    }
    sync_block();
    const float value = static_cast<float>(plan.lowest);
    if (value > kept.value) kept = {value, kEveryId};
  }
  if (top_p < 1) {
    const int room =
        62 - static_cast<int>(std::bit_width(row.V));  // bits above the point that the sum may need
    const float unit = static_cast<float>(Mass{1} << (room < 40 ? room : 40));
    kept = search.shorten(
        kept, [&](float v) { return static_cast<Mass>(expf(temperature.lead(v)) * unit); },
        [&](Mass total) {
          const double part = static_cast<double>(top_p) * static_cast<double>(total);
          return part > 1 ? static_cast<Mass>(ceil(part)) : Mass{1};
        });
  }
  return kept;
}

WARPLOOP_DEVICE float highest_of(const LogitRow& row, BlockScratch<float>& scratch) {
  float highest = -INFINITY;
  for (uint32_t b = threadIdx.x; b < row.blocks(); b += blockDim.x) highest = fmaxf(highest, row.maxima[b]);
  return max_block(highest, scratch);
}

__global__ void __launch_bounds__(kRowThreads) choose_kernel(const __grid_constant__ SampleArguments p) {
  wait_for_predecessors();
  SamplePlan& plan = shared_plan<SamplePlan>();
  const SampleRow options{p, static_cast<int64_t>(blockIdx.x)};
  const bool is_processed = options.is_processed();
  const TensorView& logits = p.params.logits;
  LogitRow row{p.logits.data + options.b * logits.stride(0) * float_bytes(logits.dtype),
               logits.dtype,
               options.mask(),
               options.maxima(),
               static_cast<uint32_t>(options.V()),
               0};
  if (is_processed) row.logits = options.processed(), row.dtype = DType::f32, row.mask = nullptr;
  const int64_t length = options.penalized_length(threadIdx.x == 0);
  row.highest = highest_of(row, plan.draw.floats);
  const bool odd = row.highest == INFINITY;  // a logit is NaN or +inf: the maxima say that, and nothing else
  if (is_processed || odd) {
    if (is_processed && p.params.bias_ids) add_bias(options);  // 2.
    sync_block();
    if (options.is_suppressed()) suppress(options);
    sync_block();
    if (length > 0) penalize(options, length);  // 3.
    sync_block();
    summarize(row, options.maxima());  // 4.
    sync_block();
    row.highest = highest_of(row, plan.draw.floats);
  }

  uint32_t chosen = 0;
  const float value = options[SampleFloat::temperature];
  if (row.highest == -INFINITY) {
    chosen = 0;
  } else if (!(value > 0)) {
    chosen = first_highest(row, plan.draw.ids);
  } else {
    const Temperature temperature{value, row.highest, fminf(1.0f / value, std::numeric_limits<float>::max())};
    const Cutoff kept = filter(options, row, temperature, plan);
    const DrawKey key{static_cast<uint32_t>(options[SampleInt::seed_low]),
                      static_cast<uint32_t>(options[SampleInt::seed_high]),
                      static_cast<uint32_t>(options.position())};
    chosen = Draw(row, kept, temperature, key, plan.draw).winner();  // 7.
  }
  if (threadIdx.x != 0) return;
  p.params.out.as<int32_t>()[options.b] = static_cast<int32_t>(chosen);
  if (p.params.status) {
    p.params.status.as<RowStatus>()[options.b] = odd                        ? RowStatus::not_finite
                                                 : row.highest == -INFINITY ? RowStatus::no_choice
                                                                            : RowStatus::ok;
  }
}

}  // namespace

void sample(const SampleParams& p, CudaContext& context) {
  const int64_t B = p.logits.size(0), V = p.logits.size(1);
  const auto fault = [&](const char* text) { return context.fault_site(OpId::sample, text); };
  const SampleArguments arguments{
      p,
      rows_of(p.logits),
      fault("biasIds[{index}, {column}] = {value} is outside [0, V={limit})"),
      fault("suppressedIds[{index}, {column}] = {value} is outside [0, V={limit})"),
      fault("poolRow of row {index} = {value} is outside [-1, R={limit})"),
      fault("positions[{index}] = {value} is outside [0, L={limit}]")};
  dispatch_vector<8>(choose_vector(V, p.logits), [&]<int kVector>(std::integral_constant<int, kVector>) {
    const SliceGrid grid = LogitSlice<kVector>::grid_for(V);
    launch<summarize_kernel<kVector>>(
        context, {.grid = dim3(static_cast<unsigned>(B * grid.slices)), .threads = grid.threads}, arguments,
        grid.slices);
  });
  launch<choose_kernel>(context,
                        {.grid = dim3(static_cast<unsigned>(B)),
                         .threads = threads_per_row(V),
                         .shared_bytes = sizeof(SamplePlan)},
                        arguments);
}

}  // namespace warploop::cuda
