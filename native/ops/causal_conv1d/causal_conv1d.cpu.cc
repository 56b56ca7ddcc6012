// What:      out[t, d] = act(bias[d] + sum over w < W of weight[d, w] * in(t - W + 1 + w, d)): in() are the
//            tokens of the sequence in x, before them those of its state, zero before the sequence begins;
//            afterwards the state holds the last W - 1 of in()
// Steps:     1. verify all sequences   2. turn the weights   3. convolve   4. the new state
// Mapping:   (sequence, kChannels channels) are dealt to threads; whoever has one goes through its tokens,
//            kTokens at a time, so that all vectors of a line are read while it is in L1, and alone touches
//            its state
// Numerics:  f32: the bias, then the products from w = 0 on; rounded once. An output depends on its W inputs
//            only, so that a sequence has the same bits in chunks of any sizes, beside others or alone
// Limits:    where one place of the state is given to two sequences, what it holds is undefined
// Source:    Gu, Dao: Mamba, arXiv 2312.00752, section 3.4
#include "ops/causal_conv1d/causal_conv1d.h"

#include <algorithm>

#include "cpu/activations.h"
#include "cpu/rows.h"
#include "cpu/simd.h"
#include "cpu/slot_sequence.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int64_t kChannels = 128, kTokens = 64;

/// Channels from `channel` on of in(i), i counted from the first token of this step; null: zeros.
template <class X>
const X* input_at(const CausalConv1dParams& p, const SlotSequence& s, int64_t i, int64_t channel) {
  if (i >= 0) return p.x.as<X>() + (s.first + i) * p.x.stride(0) + channel;
  if (s.begins) return nullptr;
  return p.state.as<X>() + s.place * p.state.stride(0) + (p.state.size(1) + i) * p.state.stride(1) + channel;
}

/// Tokens [begin, end) of a sequence, n channels from `channel` on.
template <class X, int W>
WARPLOOP_INLINE void convolve_lanes(const CausalConv1dParams& p, const SlotSequence& s, int64_t begin,
                                    int64_t end, int64_t channel, const vf (&weights)[W], vf bias, int n) {
  vf inputs[W];
  for (int w = 0; w + 1 < W; w++) {
    const X* input = input_at<X>(p, s, begin - (W - 1) + w, channel);
    inputs[w] = input ? load_some(input, n) : vf{};
  }
  const bool is_silu = p.activation == ConvActivation::silu;
  for (int64_t i = begin; i < end; i++) {
    inputs[W - 1] = load_some(input_at<X>(p, s, i, channel), n);
    vf sum = bias;
    for (int w = 0; w < W; w++) sum += weights[w] * inputs[w];
    store_some(p.out.as<X>() + (s.first + i) * p.out.stride(0) + channel, is_silu ? silu(sum) : sum, n);
    for (int w = 0; w + 1 < W; w++) inputs[w] = inputs[w + 1];
  }
}

template <class X, int W>
void convolve(const CausalConv1dParams& p, const SlotSequence& s, int64_t channel, int64_t channels) {
  float turned[W][kChannels];
  for (int64_t d = 0; d < channels; d++) {  // 2.
    for (int w = 0; w < W; w++) turned[w][d] = p.weight.as<float>()[(channel + d) * W + w];
  }
  for (int64_t begin = 0; begin < s.count; begin += kTokens) {
    for_lanes(channels, [&](int64_t d, int n) {  // 3.
      vf weights[W];
      for (int w = 0; w < W; w++) weights[w] = load_some(&turned[w][d], n);
      const vf bias = p.bias ? load_some(p.bias.as<float>() + channel + d, n) : vf{};
      convolve_lanes<X, W>(p, s, begin, std::min(s.count, begin + kTokens), channel + d, weights, bias, n);
    });
  }
}

/// Row j of the new state is row j + count of the old one, or a token: what is overwritten has been read.
template <class X>
void keep_last(const CausalConv1dParams& p, const SlotSequence& s, int64_t channel, int64_t channels) {
  if (s.place == -1 || s.count == 0) return;
  const int64_t kept = p.state.size(1);
  const auto bytes = static_cast<size_t>(channels) * sizeof(X);
  for (int64_t j = 0; j < kept; j++) {
    X* to = p.state.as<X>() + s.place * p.state.stride(0) + j * p.state.stride(1) + channel;
    const X* from = input_at<X>(p, s, s.count - kept + j, channel);
    from ? std::memcpy(to, from, bytes) : std::memset(to, 0, bytes);
  }
}

/// body(std::integral_constant<int, W>)
template <int W = kMinConvTaps, class Body>
void dispatch_taps(int64_t taps, const Body& body) {
  if constexpr (W < kMaxConvTaps) {
    if (taps != W) return dispatch_taps<W + 1>(taps, body);
  }
  body(std::integral_constant<int, W>{});
}

}  // namespace

void causal_conv1d(const CausalConv1dParams& p, CpuContext& context) {
  verify_slot_sequences(p, 'N');  // 1.
  const int64_t B = p.context_lens.size(0), T = p.x.size(0), D = p.x.size(1);
  const int64_t parts = (D + kChannels - 1) / kChannels, taps = p.weight.size(1);
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    dispatch_taps(taps, [&]<int W>(std::integral_constant<int, W>) {
      for_rows(context, B * parts, T / B * W * std::min(D, kChannels), [&](int64_t i) {
        const SlotSequence s = read_slot_sequence(p, 'N', i / parts);
        const int64_t channel = i % parts * kChannels, channels = std::min(kChannels, D - channel);
        convolve<X, W>(p, s, channel, channels);
        keep_last<X>(p, s, channel, channels);  // 4.
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
