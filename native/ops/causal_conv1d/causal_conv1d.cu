// What:      out[t, d] = act(bias[d] + sum over w < W of weight[d, w] * in(t - W + 1 + w, d)): in() are the
//            tokens of the sequence in x, before them those of its state, zero before the sequence begins;
//            afterwards the state holds the last W - 1 of in()
// Steps:     first kernel:  1. load weights and bias   2. find the sequence of a token, and the W - 1 inputs
//            before it   3. convolve, token after token   4. store
//            second kernel: 5. verify the sequence   6. load its last inputs   7. store them
// Mapping:   1. to 4.: a thread has kVector channels of `run` tokens one after another, neighbours in a warp
//            have neighbouring channels; the inputs of the next token are those of the last, moved by one. It
//            only reads the state. 5. to 7.: a thread has kVector channels of a sequence, and alone touches
//            them in its state.
// Resources: no shared memory; W x kVector weights and as many inputs in registers, at most 32 + 32
// Cost:      x read 1 + (W - 1) / run times, mostly from the cache, out written, the states read twice and
//            written; bound by memory, in decoding by two launches. `run` grows where the grid stays large
//            enough.
// Numerics:  f32: the bias, then the products from w = 0 on; rounded once. An output depends on its W inputs
//            only, so that a sequence has the same bits in chunks of any sizes, beside others or alone
// Limits:    where one place of the state is given to two sequences, what it holds is undefined
// Source:    Gu, Dao: Mamba, arXiv 2312.00752, section 3.4
#include "ops/causal_conv1d/causal_conv1d.h"

#include <algorithm>

#include "cuda/device/activations.cuh"
#include "cuda/device/slot_sequences.cuh"
#include "cuda/device/vectors.cuh"

namespace warploop::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int64_t kFullGrid = 32768;  // threads; with more there are several tokens to each
constexpr int64_t kLongestRun = 16;

struct Convolution {
  Rows x, state, out;
  const float *weight, *bias;
  SlotSequences sequences;
  int64_t columns;  // vectors of a row
  int64_t run;      // tokens of a thread
  int64_t kept;     // W - 1
  bool is_silu;
};

/// The sequence of a token: the last one that begins at or before it. Not valid where cuSeqlensQ is not what
/// it should be, which the thread of the sequence in the second kernel reports, or the first one of this.
WARPLOOP_DEVICE SlotSequence sequence_of(const SlotSequences& p, int64_t t) {
  const int32_t* cu = p.cu_seqlens_q;
  int64_t low = 0, high = p.B;
  if (t < p.B && cu[t] == t && cu[t + 1] > t) {  // decoding
    low = t;
  } else {
    while (high - low > 1) {
      const int64_t middle = (low + high) / 2;
      (cu[middle] <= t ? low : high) = middle;
    }
  }
  if (p.B == 0 || cu[low] > t || cu[low + 1] <= t) return {0, 0, -1, true, false};
  return read_slot_sequence(p, low);
}

/// A vector of channels of in(t), t counted as in x, at or before the last token of the sequence.
template <int kVector>
WARPLOOP_DEVICE uint4 input_at(const Convolution& p, const SlotSequence& s, int64_t t, int64_t channel) {
  if (t >= s.first) return load_vector<kVector>(p.x, t * p.x.strides[2] + channel);
  if (s.begins) return {0, 0, 0, 0};
  const int64_t row = s.place * p.state.strides[1] + (t - s.first + p.kept) * p.state.strides[2];
  return load_vector<kVector>(p.state, row + channel);
}

/// weights[w] of the channels, which lie [channel, w] in memory.
template <int kVector, int W>
WARPLOOP_DEVICE void load_weights(const Convolution& p, int64_t channel, float (&weights)[W][kVector]) {
  const float* from = p.weight + channel * W;
  if constexpr (kVector == 1) {
#pragma unroll
    for (int w = 0; w < W; w++) weights[w][0] = from[w];
  } else {
#pragma unroll
    for (int i = 0; i < kVector * W; i += 4) {
      float four[4];
      widen_as<float>(load_16(from + i), four);
#pragma unroll
      for (int j = 0; j < 4; j++) weights[(i + j) % W][(i + j) / W] = four[j];
    }
  }
}

template <int kVector, int W>
__global__ void __launch_bounds__(kThreads) causal_conv1d_kernel(const __grid_constant__ Convolution p) {
  wait_for_predecessors();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index == 0) verify_slot_total(p.sequences);
  const int64_t begin = index / p.columns * p.run, channel = index % p.columns * kVector;
  const int64_t end = begin + p.run < p.sequences.T ? begin + p.run : p.sequences.T;
  if (begin >= end) return;

  float weights[W][kVector], bias[kVector], inputs[W][kVector];
  load_weights(p, channel, weights);  // 1.
#pragma unroll
  for (int i = 0; i < kVector; i++) bias[i] = p.bias ? p.bias[channel + i] : 0.0f;

  SlotSequence s{};
  for (int64_t t = begin; t < end; t++) {
    if (t >= s.end) {  // 2.
      s = sequence_of(p.sequences, t);
      if (!s.is_valid) continue;
#pragma unroll
      for (int w = 0; w + 1 < W; w++)
        widen(input_at<kVector>(p, s, t - (W - 1) + w, channel), p.x.dtype, inputs[w]);
    }
    load_floats(p.x, t * p.x.strides[2] + channel, inputs[W - 1]);
    float sums[kVector];
#pragma unroll
    for (int i = 0; i < kVector; i++) {  // 3.
      sums[i] = bias[i];
#pragma unroll
      for (int w = 0; w < W; w++) sums[i] += weights[w][i] * inputs[w][i];
      if (p.is_silu) sums[i] = silu(sums[i]);
#pragma unroll
      for (int w = 0; w + 1 < W; w++) inputs[w][i] = inputs[w + 1][i];
    }
    store_floats(p.out, t * p.out.strides[2] + channel, sums);  // 4.
  }
}

template <int kVector>
__global__ void __launch_bounds__(kThreads) keep_last_kernel(const __grid_constant__ Convolution p) {
  wait_for_predecessors();
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t b = index / p.columns, channel = index % p.columns * kVector;
  if (b >= p.sequences.B) return;
  const SlotSequence s = read_slot_sequence(p.sequences, b);  // 5.
  if (!s.is_valid || s.place == -1 || s.first == s.end) return;
  uint4 last[kMaxConvTaps - 1];
#pragma unroll
  for (int j = 0; j < kMaxConvTaps - 1; j++) {  // 6.
    if (j < p.kept) last[j] = input_at<kVector>(p, s, s.end - p.kept + j, channel);
  }
  const int64_t row = s.place * p.state.strides[1] + channel;
#pragma unroll
  for (int j = 0; j < kMaxConvTaps - 1; j++) {  // 7.
    if (j < p.kept) store_vector<kVector>(p.state, row + j * p.state.strides[2], last[j]);
  }
}

LaunchShape launch_shape(int64_t threads) {
  return {.grid = dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads)), .threads = kThreads};
}

template <int kVector, int W>
void run(const Convolution& p, CudaContext& context) {
  launch<causal_conv1d_kernel<kVector, W>>(context,
                                           launch_shape((p.sequences.T + p.run - 1) / p.run * p.columns), p);
  launch<keep_last_kernel<kVector>>(context, launch_shape(p.sequences.B * p.columns), p);
}

/// With the W of the op, from kMinConvTaps on.
template <int kVector, int W = kMinConvTaps>
void run_taps(const Convolution& p, CudaContext& context) {
  if constexpr (W < kMaxConvTaps) {
    if (p.kept + 1 != W) return run_taps<kVector, W + 1>(p, context);
  }
  run<kVector, W>(p, context);
}

/// 8 channels of more than 4 taps do not fit the registers.
int choose_channels(const CausalConv1dParams& p) {
  const auto is_aligned_to_16 = [](const TensorView& t) {
    return reinterpret_cast<uintptr_t>(t.data) % 16 == 0;
  };
  if (!is_aligned_to_16(p.weight)) return 1;
  const int vector = choose_vector(p.x.size(1), p.x, p.state, p.out);
  return p.weight.size(1) > 4 ? std::min(vector, 4) : vector;
}

}  // namespace

void causal_conv1d(const CausalConv1dParams& p, CudaContext& context) {
  const int64_t T = p.x.size(0), vector = choose_channels(p), columns = p.x.size(1) / vector;
  const Convolution params{
      rows_of(p.x),
      rows_of(p.state),
      rows_of(p.out),
      p.weight.as<float>(),
      p.bias.as<float>(),
      slot_sequences_of(p, OpId::causal_conv1d, "stateIndices[{index}] = {value} is outside [-1, N={limit})",
                        context),
      columns,
      std::clamp<int64_t>(T * columns / kFullGrid, 1, kLongestRun),
      p.state.size(1),
      p.activation == ConvActivation::silu};
  if (vector == 1) return run_taps<1>(params, context);
  if (vector == 4) return run_taps<4>(params, context);
  if (params.kept == 1) return run<8, 2>(params, context);
  if (params.kept == 2) return run<8, 3>(params, context);
  run<8, 4>(params, context);
}

}  // namespace warploop::cuda
