// What becomes of the product of a query and a key before the softmax: scale q k, or with a softcap
// softcap tanh(scale q k / softcap). The kernels keep their scores in units of score_unit(): what they
// multiply by it is q k, or with a softcap the tanh alone, which cap_scores() puts in place of q k.
#pragma once
#include "cuda/attention/attention.h"
#include "cuda/device/dtype.cuh"

namespace warploop::cuda {

inline constexpr float kLog2e = 1.44269504f;

/// tanh by way of an exponential and a division: absolute error 2e-7, exactly 1 far from 0. The instruction
/// tanh.approx is wrong by 5e-4, which a cap of 50 makes 2.5 % of a probability.
WARPLOOP_DEVICE float tanh_of(float x) {
  return fmaf(-2.0f, reciprocal_fast(1.0f + exp2_fast(2 * kLog2e * x)), 1.0f);
}

/// Of a score in base 2.
WARPLOOP_DEVICE float score_unit(const AttentionProblem& p) {
  return (p.softcap > 0 ? p.softcap : p.scale) * kLog2e;
}
/// The same where the kernel turns the signs of q instead: with negates(), and never 0, with which a hidden
/// score, -inf, would become NaN.
WARPLOOP_DEVICE float positive_score_unit(const AttentionProblem& p) {
  constexpr float kLeast = 1.17549435e-38f;
  return fmaxf(fabsf(score_unit(p)), kLeast);
}
/// Whether a negative scale has to become a factor of q; a tanh has it inside.
WARPLOOP_DEVICE bool negates(const AttentionProblem& p) { return p.scale < 0 && !(p.softcap > 0); }

/// A product in units of score_unit().
WARPLOOP_DEVICE float cap_score(const AttentionProblem& p, float product) {
  return p.softcap > 0 ? tanh_of(product * (p.scale / p.softcap)) : product;
}
/// The same for those of a lane.
template <int kCount>
WARPLOOP_DEVICE void cap_scores(const AttentionProblem& p, float (&products)[kCount]) {
  if (!(p.softcap > 0)) return;
  const float inner = p.scale / p.softcap;
#pragma unroll
  for (int i = 0; i < kCount; i++) products[i] = tanh_of(products[i] * inner);
}

}  // namespace warploop::cuda
