// Activation functions on vectors. Like simd.h, on which it stands, only for files compiled per instruction
// set.
#pragma once
#include "core/swiglu.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Cost of one of these functions next to a load and a store, for for_spans.
inline constexpr int64_t kActivationWeight = 4;

/// z / (1 + e^-z)
WARPLOOP_INLINE vf silu(vf z) { return z / (1.0f + exp(-z)); }

/// NaN stays NaN.
WARPLOOP_INLINE vf swiglu(const Swiglu& function, vf gate, vf up) {
  if (!function.clamped) return silu(gate) * up;
  const vf limit = splat(function.limit), g = gate > limit ? limit : gate;
  const vf u = up > limit ? limit : up < -limit ? -limit : up;
  return g / (1.0f + exp(-function.alpha * g)) * (u + 1.0f);
}

/// log(1 + e^z) = max(z, 0) + log(1 + u), u = e^-|z| in [0, 1]. With s = u / (2 + u), at most 1/3, the
/// logarithm is 2 (s + s^3/3 + s^5/5 + ...), whose terms after s^13 are below 2e-8 of it; small results keep
/// their digits.
WARPLOOP_INLINE vf softplus(vf z) {
  const vf u = exp(z < 0.0f ? z : -z), s = u / (2.0f + u), q = s * s;
  vf p = splat(1.0f / 13);
  p = p * q + 1.0f / 11;
  p = p * q + 1.0f / 9;
  p = p * q + 1.0f / 7;
  p = p * q + 1.0f / 5;
  p = p * q + 1.0f / 3;
  p = p * q + 1.0f;
  return max(z, vf{}) + 2.0f * s * p;
}

/// Absolute error 2e-7; exactly 1 far from 0.
WARPLOOP_INLINE vf tanh(vf x) { return 1.0f - 2.0f / (1.0f + exp(2.0f * x)); }

/// 1 - erf(x), relative error below 4e-7 for 0 <= x <= 4 and for all negative x; it grows with x^2 above 4,
/// where the result is below 1e-8. The form is Abramowitz and Stegun, Handbook of Mathematical Functions
/// (1964), 7.1.26: t P(t) e^(-x^2) with t = 1 / (1 + p x). p and P are our own minimax fit of degree 8, with
/// relative error 4.3e-8 on 0 <= x <= 10.
WARPLOOP_INLINE vf erfc(vf x) {
  const vf a = x < 0.0f ? -x : x;
  const vf t = 1.0f / (1.0f + 0.5f * a);
  vf p = splat(-0.0590689667f);
  p = p * t + 0.284574986f;
  p = p * t - 0.487199962f;
  p = p * t + 0.278067201f;
  p = p * t - 0.0266256966f;
  p = p * t + 0.202686876f;
  p = p * t + 0.243103758f;
  p = p * t + 0.282375306f;
  p = p * t + 0.282086432f;
  const vf tail = p * t * exp(-a * a);
  return x < 0.0f ? 2.0f - tail : tail;
}

/// x Phi(x), Phi the normal distribution function: x/2 erfc(-x / sqrt(2)), which keeps its digits for
/// negative x.
WARPLOOP_INLINE vf gelu_erf(vf x) { return 0.5f * x * erfc(-0.70710678f * x); }

/// x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3). Since (1 + tanh(u)) / 2 = 1 / (1 + e^-2u), exactly,
/// this is one exp and no cancellation for negative x.
WARPLOOP_INLINE vf gelu_tanh(vf x) {
  const vf twice_u = 1.59576912f * x * (1.0f + 0.044715f * x * x);
  return x / (1.0f + exp(-twice_u));
}

}  // namespace warploop::cpu::WARPLOOP_ISA
