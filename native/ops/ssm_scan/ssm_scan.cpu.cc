// What:      per head, with d = clamp(softplus(dt[t] + dt_bias), dt_min, dt_max), token after token:
//            state[n, p] = exp(a d) state[n, p] + d x[t, p] b[t, n]
//            out[t, p] = skip x[t, p] + sum over n of c[t, n] state[n, p]
// Steps:     1. verify all sequences   2. steps and decays, b and c as f32, of kPage tokens
//            3. state and sums, kTile tokens for each time that a row of the state is loaded   4. store
// Mapping:   (sequence, head, kChannels channels) are dealt to threads; whoever has one goes through its
//            tokens and alone touches its state, whose 16 KiB (N = 128) stay in L1
// Cost:      3 N multiplications and additions of a vector per token and vector of channels: a twentieth of
//            the matrix products around it
// Numerics:  f32; the sum of a token in order of n, then skip x; rounded once. A state depends on the tokens
//            before it alone, so that a sequence has the same bits in chunks of any sizes, beside others or
//            alone
// Limits:    where one place of the state is given to two sequences, what it holds is undefined
// Source:    Dao, Gu: Transformers are SSMs, arXiv 2405.21060, sections 2 (the recurrence) and 7 (heads)
#include "ops/ssm_scan/ssm_scan.h"

#include <algorithm>

#include "cpu/activations.h"
#include "cpu/rows.h"
#include "cpu/simd.h"
#include "cpu/slot_sequence.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int64_t kChannels = 32, kPage = 16;
constexpr int kTile = 4;

/// Of a thread.
struct Scratch {
  float b[kPage * kMaxSsmState], c[kPage * kMaxSsmState];
  float step[kPage], decay[kPage];
  float padding[kMaxSsmState * kChannels];  // the state of a sequence that has no place
};
static_assert(sizeof(Scratch) <= kWorkspaceBytes);

/// Of a head: rows n of kLanes channels or fewer.
struct State {
  float* rows;
  int64_t stride;
};

/// kTokens tokens of n channels; b and c are N to a token.
template <int kTokens>
WARPLOOP_INLINE void advance(const State& state, int64_t N, const float* b, const float* c,
                             const float* decay, const vf (&input)[kTokens], bool begins, int n,
                             vf (&sums)[kTokens]) {
  vf decays[kTokens];
  for (int t = 0; t < kTokens; t++) {
    decays[t] = splat(decay[t]);
    sums[t] = vf{};
  }
  for (int64_t i = 0; i < N; i++) {
    vf kept = begins ? vf{} : load_some(state.rows + i * state.stride, n);
    for (int t = 0; t < kTokens; t++) {
      kept = kept * decays[t] + input[t] * b[t * N + i];
      sums[t] += kept * c[t * N + i];
    }
    store_some(state.rows + i * state.stride, kept, n);
  }
}

template <class X>
class Scan {
 public:
  Scan(const SsmScanParams& p, const SlotSequence& sequence, int64_t head, int64_t channel, Scratch& scratch)
      : p_(p), s_(sequence), head_(head), channel_(channel), N_(p.b.size(2)), scratch_(scratch) {
    state_ =
        s_.place == -1
            ? State{scratch.padding, kChannels}
            : State{p.state.as<float>() + s_.place * p.state.stride(0) + head * p.state.stride(1) + channel,
                    p.state.stride(2)};
  }

  void run(int64_t channels) {
    for (int64_t page = 0; page < s_.count; page += kPage) {
      const int64_t tokens = std::min(kPage, s_.count - page);
      prepare(s_.first + page, tokens);
      for_lanes(channels, [&](int64_t lane, int n) {
        int64_t t = 0;
        for (; t + kTile <= tokens; t += kTile) run_tile<kTile>(page, t, lane, n);
        for (; t < tokens; t++) run_tile<1>(page, t, lane, n);
      });
    }
  }

 private:
  void prepare(int64_t first, int64_t tokens) {  // 2.
    const float bias = p_.dt_bias ? p_.dt_bias.as<float>()[head_] : 0.0f, a = p_.a.as<float>()[head_];
    for (int64_t t = 0; t < kPage; t++)
      scratch_.step[t] =
          t < tokens ? to_float(p_.dt.as<X>()[(first + t) * p_.dt.stride(0) + head_]) + bias : 0.0f;
    for (int64_t t = 0; t < kPage; t += kLanes) {
      // in this order a NaN stays one
      const vf step = min(splat(p_.dt_max), max(splat(p_.dt_min), softplus(load(scratch_.step + t))));
      store(scratch_.step + t, step);
      store(scratch_.decay + t, exp(step * a));
    }
    const int64_t group = head_ / (p_.x.size(1) / p_.b.size(1));
    widen(p_.b, first, tokens, group, scratch_.b);
    widen(p_.c, first, tokens, group, scratch_.c);
  }

  void widen(const TensorView& from, int64_t first, int64_t tokens, int64_t group, float* to) {
    for (int64_t t = 0; t < tokens; t++) {
      const X* row = from.as<X>() + (first + t) * from.stride(0) + group * from.stride(1);
      for_lanes(N_, [&](int64_t i, int n) { store_some(to + t * N_ + i, load_some(row + i, n), n); });
    }
  }

  /// Tokens [t, t + kTokens) of a page.
  template <int kTokens>
  WARPLOOP_INLINE void run_tile(int64_t page, int64_t t, int64_t lane, int n) {
    const int64_t token = s_.first + page + t;
    vf x[kTokens], input[kTokens], sums[kTokens];
    for (int i = 0; i < kTokens; i++) {
      x[i] = load_some(row_of<X>(p_.x, token + i) + lane, n);
      input[i] = x[i] * scratch_.step[t + i];
    }
    advance<kTokens>({state_.rows + lane, state_.stride}, N_, scratch_.b + t * N_, scratch_.c + t * N_,
                     scratch_.decay + t, input, s_.begins && page + t == 0, n, sums);  // 3.
    const float skip = p_.skip ? p_.skip.as<float>()[head_] : 0.0f;
    for (int i = 0; i < kTokens; i++) {  // 4.
      const vf result = p_.skip ? sums[i] + x[i] * skip : sums[i];
      store_some(row_of<X>(p_.out, token + i) + lane, result, n);
    }
  }

  template <class T>
  T* row_of(const TensorView& t, int64_t token) const {
    return t.as<T>() + token * t.stride(0) + head_ * t.stride(1) + channel_;
  }

  const SsmScanParams& p_;
  const SlotSequence& s_;
  const int64_t head_, channel_, N_;
  Scratch& scratch_;
  State state_;
};

}  // namespace

void ssm_scan(const SsmScanParams& p, CpuContext& context) {
  verify_slot_sequences(p, 'S');  // 1.
  const int64_t B = p.context_lens.size(0), T = p.x.size(0), H = p.x.size(1), P = p.x.size(2);
  const int64_t parts = (P + kChannels - 1) / kChannels;
  const int64_t cost = std::max<int64_t>(1, T / B) * p.b.size(2) * std::min(P, kChannels);
  const int64_t grain = std::max<int64_t>(1, kGrainElements / cost);
  dispatch_float(p.x.dtype, [&]<class X>(X) {
    parallel_for(context.pool(), B * H * parts, grain, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; i++) {
        const SlotSequence sequence = read_slot_sequence(p, 'S', i / parts / H);
        const int64_t channel = i % parts * kChannels;
        Scan<X>(p, sequence, i / parts % H, channel, *context.workspace<Scratch>(thread))
            .run(std::min(kChannels, P - channel));
      }
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
