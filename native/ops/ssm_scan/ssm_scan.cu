// What:      per head, with d = clamp(softplus(dt[t] + dt_bias), dt_min, dt_max), token after token:
//            state[n, p] = exp(a d) state[n, p] + d x[t, p] b[t, n]
//            out[t, p] = skip x[t, p] + sum over n of c[t, n] state[n, p]
// Steps:     1. verify the sequence   2. load its state   3. x, b, c, steps and decays of kTokens tokens to
//            shared memory   4. state and sums   5. join the sums of the warps, store   6. store the state
// Mapping:   a block has kChannels channels of a head of one sequence and goes through its tokens; a warp has
//            a quarter of the rows n of their states, in registers, a lane 2 channels of it. It alone touches
//            that part of the state.
// Resources: 36 KiB of shared memory (52 for N above 128); 2 kSlice registers for the state, kSlice up to 64
// Cost:      decoding: the state, read and written, is nearly all of it; bound by memory. Prompts: 3 N
//            multiplications and additions per channel and token on the ordinary units, with a quarter of as
//            many 16-byte reads of shared memory; bound by those units
// Numerics:  f32; a warp sums in order of n, then the four warps in order, then skip x; rounded once. A state
//            depends on the tokens before it alone, so that a sequence has the same bits in chunks of any
//            sizes, beside others or alone
// Limits:    where one place of the state is given to two sequences, what it holds is undefined
// Source:    Dao, Gu: Transformers are SSMs, arXiv 2405.21060, sections 2 (the recurrence) and 7 (heads)
#include "ops/ssm_scan/ssm_scan.h"

#include <algorithm>

#include "cuda/device/activations.cuh"
#include "cuda/device/block.cuh"
#include "cuda/device/slot_sequences.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int kChannels = 2 * kWarpSize, kTokens = 16;

struct Scan {
  Rows x, dt, b, c, state, out;
  const float *a, *skip, *dt_bias;
  SlotSequences sequences;
  int64_t H, P, N;
  int64_t heads_per_group, tiles;  // tiles: of channels, of a head
  int vector;                      // of x, b, c and out: 4 or 1
  bool loads_pairs;                // of the state
  float dt_min, dt_max;
};

template <int kSlice>
struct Plan {
  float b[kTokens][kWarps * kSlice], c[kTokens][kWarps * kSlice];
  float x[kTokens][kChannels];
  float sums[kWarps][kTokens][kChannels];
  float step[kTokens], decay[kTokens];
};

/// Rows of `count` tokens, `offset` and `stride` in elements; what is behind the width becomes zero.
template <int kVector, int kWidth>
WARPLOOP_DEVICE void load_rows(float (&to)[kTokens][kWidth], const Rows& from, int64_t offset, int64_t stride,
                               int count, int64_t width) {
  constexpr int kColumns = kWidth / kVector;
  for (int i = static_cast<int>(threadIdx.x); i < count * kColumns; i += kThreads) {
    const int t = i / kColumns, column = i % kColumns * kVector;
    float values[kVector] = {};
    if (column < width) load_floats(from, offset + t * stride + column, values);
#pragma unroll
    for (int j = 0; j < kVector; j++) to[t][column + j] = values[j];
  }
}

/// Tokens [t, t + count) for channels from `channel` on.
template <int kVector, int kSlice>
WARPLOOP_DEVICE void load_tokens(const Scan& p, Plan<kSlice>& plan, int64_t t, int count, int64_t head,
                                 int64_t channel) {
  const int64_t group = head / p.heads_per_group;
  const auto offset = [&](const Rows& rows, int64_t second) {
    return t * rows.strides[1] + second * rows.strides[2];
  };
  load_rows<kVector>(plan.b, p.b, offset(p.b, group), p.b.strides[1], count, p.N);
  load_rows<kVector>(plan.c, p.c, offset(p.c, group), p.c.strides[1], count, p.N);
  load_rows<kVector>(plan.x, p.x, offset(p.x, head) + channel, p.x.strides[1], count, p.P - channel);
}

/// Stores the results of `count` tokens from t on: the sums of the warps, in order, and skip x. A thread
/// reads of x what it has loaded itself, so that nobody has to wait before x is loaded anew.
template <int kVector, int kSlice>
WARPLOOP_DEVICE void store_tokens(const Scan& p, const Plan<kSlice>& plan, int64_t t, int count, int64_t head,
                                  int64_t channel) {
  constexpr int kColumns = kChannels / kVector;
  const float skip = p.skip ? p.skip[head] : 0.0f;
  for (int i = static_cast<int>(threadIdx.x); i < count * kColumns; i += kThreads) {
    const int token = i / kColumns, column = i % kColumns * kVector;
    if (channel + column >= p.P) continue;
    float results[kVector];
#pragma unroll
    for (int j = 0; j < kVector; j++) {
      results[j] = plan.sums[0][token][column + j];
#pragma unroll
      for (int warp = 1; warp < kWarps; warp++) results[j] += plan.sums[warp][token][column + j];
      if (p.skip) results[j] += skip * plan.x[token][column + j];
    }
    store_floats(p.out, (t + token) * p.out.strides[1] + head * p.out.strides[2] + channel + column, results);
  }
}

/// The lane's part of the state: rows n of the warp, channels `channel` and the next.
template <int kSlice>
class State {
 public:
  WARPLOOP_DEVICE State(const Scan& p, int64_t place, int64_t head, int64_t first, int64_t channel)
      : data_(reinterpret_cast<float*>(p.state.data) + place * p.state.strides[0] +
              head * p.state.strides[1] + first * p.state.strides[2] + channel),
        stride_(p.state.strides[2]),
        rows_(p.N - first),
        channels_(p.P - channel),
        pairs_(p.loads_pairs) {}

  WARPLOOP_DEVICE void load(float (&kept)[kSlice][2]) const {
#pragma unroll
    for (int n = 0; n < kSlice; n++) {
      const float* row = data_ + n * stride_;
      if (n >= rows_) continue;
      if (pairs_ && channels_ > 0) {
        const uint2 pair = load_8(row);
        widen_as<float>({pair.x, pair.y, 0, 0}, kept[n]);
      } else {
        if (channels_ > 0) kept[n][0] = row[0];
        if (channels_ > 1) kept[n][1] = row[1];
      }
    }
  }
  WARPLOOP_DEVICE void store(const float (&kept)[kSlice][2]) const {
#pragma unroll
    for (int n = 0; n < kSlice; n++) {
      float* row = data_ + n * stride_;
      if (n >= rows_) continue;
      if (pairs_ && channels_ > 0) {
        const uint4 pair = narrow_as<float>(kept[n]);
        store_8(row, {pair.x, pair.y});
      } else {
        if (channels_ > 0) row[0] = kept[n][0];
        if (channels_ > 1) row[1] = kept[n][1];
      }
    }
  }

 private:
  float* data_;
  int64_t stride_, rows_, channels_;
  bool pairs_;
};

/// Four neighbours in shared memory.
WARPLOOP_DEVICE void load_four(const float* from, float (&values)[4]) {
  widen_as<float>(load_16(from), values);
}

/// The warp's share of `count` tokens.
template <int kSlice>
WARPLOOP_DEVICE void advance(Plan<kSlice>& plan, int count, int warp, int lane, float (&kept)[kSlice][2]) {
  for (int t = 0; t < count; t++) {
    const float decay = plan.decay[t], step = plan.step[t];
    float inputs[2], sums[2] = {0, 0};
#pragma unroll
    for (int j = 0; j < 2; j++) inputs[j] = step * plan.x[t][2 * lane + j];
#pragma unroll
    for (int first = 0; first < kSlice; first += 4) {
      float b[4], c[4];
      load_four(&plan.b[t][warp * kSlice + first], b);
      load_four(&plan.c[t][warp * kSlice + first], c);
#pragma unroll
      for (int n = 0; n < 4; n++) {
#pragma unroll
        for (int j = 0; j < 2; j++) {
          kept[first + n][j] = kept[first + n][j] * decay + inputs[j] * b[n];
          sums[j] += c[n] * kept[first + n][j];
        }
      }
    }
#pragma unroll
    for (int j = 0; j < 2; j++) plan.sums[warp][t][2 * lane + j] = sums[j];
  }
}

template <int kSlice>
__global__ void __launch_bounds__(kThreads) ssm_scan_kernel(const __grid_constant__ Scan p) {
  Plan<kSlice>& plan = shared_plan<Plan<kSlice>>();
  wait_for_predecessors();
  if (blockIdx.x == 0 && threadIdx.x == 0) verify_slot_total(p.sequences);
  const int64_t index = blockIdx.x, channel = index % p.tiles * kChannels, head = index / p.tiles % p.H;
  const int64_t sequence = index / p.tiles / p.H;
  if (sequence >= p.sequences.B) return;
  const SlotSequence s = read_slot_sequence(p.sequences, sequence);  // 1.
  if (!s.is_valid || s.first == s.end) return;

  const int warp = static_cast<int>(threadIdx.x) / kWarpSize, lane = lane_index();
  const State<kSlice> state(p, s.place, head, warp * kSlice, channel + 2 * lane);
  float kept[kSlice][2] = {};
  if (!s.begins) state.load(kept);  // 2.
  const float a = p.a[head], bias = p.dt_bias ? p.dt_bias[head] : 0.0f;
  for (int64_t t = s.first; t < s.end; t += kTokens) {
    const int count = static_cast<int>(s.end - t < kTokens ? s.end - t : kTokens);
    if (p.vector == 4) {  // 3.
      load_tokens<4>(p, plan, t, count, head, channel);
    } else {
      load_tokens<1>(p, plan, t, count, head, channel);
    }
    if (static_cast<int>(threadIdx.x) < count) {
      float value[1];
      load_floats(p.dt, (t + threadIdx.x) * p.dt.strides[2] + head, value);
      float step = softplus(value[0] + bias);
      step = step < p.dt_min ? p.dt_min : step > p.dt_max ? p.dt_max : step;
      plan.step[threadIdx.x] = step;
      plan.decay[threadIdx.x] = expf(step * a);
    }
    sync_block();
    advance(plan, count, warp, lane, kept);  // 4.
    sync_block();
    if (p.vector == 4) {  // 5.
      store_tokens<4>(p, plan, t, count, head, channel);
    } else {
      store_tokens<1>(p, plan, t, count, head, channel);
    }
  }
  if (s.place >= 0) state.store(kept);  // 6.
}

template <int kSlice>
void run(const Scan& p, CudaContext& context) {
  const int64_t blocks =
      std::max<int64_t>(1, p.sequences.B * p.H * p.tiles);  // without any, one reports the tokens
  launch<ssm_scan_kernel<kSlice>>(context,
                                  {.grid = dim3(static_cast<unsigned>(blocks)),
                                   .threads = kThreads,
                                   .shared_bytes = sizeof(Plan<kSlice>)},
                                  p);
}

}  // namespace

void ssm_scan(const SsmScanParams& p, CudaContext& context) {
  const int64_t H = p.x.size(1), P = p.x.size(2), G = p.b.size(1), N = p.b.size(2);
  const int vector = std::min(choose_vector(P, p.x, p.out), choose_vector(N, p.b, p.c));
  const Scan params{rows_of(p.x),
                    rows_of(p.dt),
                    rows_of(p.b),
                    rows_of(p.c),
                    rows_of(p.state),
                    rows_of(p.out),
                    p.a.as<float>(),
                    p.skip.as<float>(),
                    p.dt_bias.as<float>(),
                    slot_sequences_of(p, OpId::ssm_scan,
                                      "stateIndices[{index}] = {value} is outside [-1, S={limit})", context),
                    H,
                    P,
                    N,
                    H / G,
                    (P + kChannels - 1) / kChannels,
                    vector >= 4 ? 4 : 1,
                    P % 2 == 0 && is_aligned(p.state, 2, 4),
                    p.dt_min,
                    p.dt_max};
  if (N <= 64) return run<16>(params, context);
  if (N <= 128) return run<32>(params, context);
  run<64>(params, context);
}

}  // namespace warploop::cuda
