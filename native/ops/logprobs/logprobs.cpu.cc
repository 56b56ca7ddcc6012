// What:      log softmax(logits) of one token per row and of the row's N best tokens, best first, equal ones
//            by lower index
// Steps:     1. highest logit
//            2. log of the sum of exp(l - highest)
//            3. the N best
//            4. l - highest - log sum
// Mapping:   rows are dealt to threads; three streaming passes, the second bound by exp
// Numerics:  f32 exponentials, summed in f32 over kChunk elements and in double over the chunks. NaN counts
//            as -inf, +inf as the largest finite number; -inf has log-probability -inf, also in a row of
//            nothing else.
// Source:    the definition
#include "ops/logprobs/logprobs.h"

#include "core/error.h"
#include "cpu/rows.h"
#include "cpu/simd.h"
#include "cpu/top_list.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

constexpr int64_t kChunk = 4096;

/// Elements of a row without NaN and +inf; lanes beyond the row are -inf.
template <class X>
WARPLOOP_INLINE vf load_logits(const X* logits, int n) {
  const vf v = load_some(logits, n, -kInf);
  return min(v == v ? v : splat(-kInf), splat(std::numeric_limits<float>::max()));
}

template <class X>
float highest_of(const X* logits, int64_t V, RowStatus& status) {
  vf highest = splat(-kInf);
  vi odd{};
  for_lanes(V, [&](int64_t v, int n) {
    odd |= ~(load_some(logits + v, n, -kInf) < splat(kInf));
    highest = max(highest, load_logits(logits + v, n));
  });
  const float result = reduce_max(highest);
  status = any(odd) ? RowStatus::not_finite : result == -kInf ? RowStatus::no_choice : RowStatus::ok;
  return result;
}

template <class X>
double log_sum(const X* logits, int64_t V, float highest) {
  double total = 0;
  for (int64_t begin = 0; begin < V; begin += kChunk) {
    vf sum{};
    for_lanes(std::min(kChunk, V - begin),
              [&](int64_t v, int n) { sum += exp(load_logits(logits + begin + v, n) - highest); });
    total += reduce_add(sum);
  }
  return std::log(total);
}

/// 3. Vectors without an element that could enter the list cost one comparison.
template <class X>
void find_best(const X* logits, int64_t V, TopList& best) {
  for_lanes(V, [&](int64_t v, int n) {
    const vf values = load_logits(logits + v, n);
    if (best.full() && !(reduce_max(values) > best.last())) return;
    for (int i = 0; i < n; i++) best.offer(values[i], static_cast<int32_t>(v + i));
  });
}

template <class X>
void logprobs_row(const X* logits, int64_t V, int32_t id, float* chosen, int32_t* top_ids, float* top_values,
                  int64_t N, RowStatus& status) {
  const float highest = highest_of(logits, V, status);  // 1.
  // 2. In a row of -inf alone, everything stays -inf.
  const double base = highest == -kInf ? 0 : highest + log_sum(logits, V, highest);
  *chosen = static_cast<float>(load_logits(logits + id, 1)[0] - base);  // 4.
  if (N == 0) return;
  TopList best(top_values, top_ids, N);
  find_best(logits, V, best);
  for (int64_t n = 0; n < N; n++) top_values[n] = static_cast<float>(top_values[n] - base);
}

}  // namespace

void logprobs(const LogprobsParams& p, CpuContext& context) {
  const int64_t B = p.logits.size(0), V = p.logits.size(1), N = p.top_ids.size(1);
  dispatch_float(p.logits.dtype, [&]<class X>(X) {
    for_rows(context, B, 4 * V, [&](int64_t b) {
      const int32_t id = p.ids.as<int32_t>()[b];
      if (id < 0 || id >= V) fail_execution("ids[", b, "] = ", id, " is outside [0, V=", V, ")");
      RowStatus status;
      logprobs_row(row_at<X>(p.logits, b), V, id, p.chosen.as<float>() + b, p.top_ids.as<int32_t>() + b * N,
                   p.top_values.as<float>() + b * N, N, status);
      if (p.status) p.status.as<RowStatus>()[b] = status;
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
