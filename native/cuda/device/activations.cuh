// Activation functions in f32; the formulas of cpu/activations.h.
#pragma once
#include <cmath>

#include "core/swiglu.h"
#include "cuda/device/platform.cuh"

namespace warploop::cuda {

/// z / (1 + e^-z)
WARPLOOP_DEVICE float silu(float z) { return z / (1.0f + expf(-z)); }

/// Of a `function` that is clamped. NaN stays NaN.
WARPLOOP_DEVICE float clamped_swiglu(const Swiglu& function, float gate, float up) {
  const float limit = function.limit, g = gate > limit ? limit : gate;
  const float u = up > limit ? limit : up < -limit ? -limit : up;
  return g / (1.0f + expf(-function.alpha * g)) * (u + 1.0f);
}

/// log(1 + e^z), which keeps the digits of small results.
WARPLOOP_DEVICE float softplus(float z) { return (z > 0.0f ? z : 0.0f) + log1pf(expf(z < 0.0f ? z : -z)); }

/// x Phi(x), Phi the normal distribution function: x/2 erfc(-x / sqrt(2)), which keeps its digits for
/// negative x.
WARPLOOP_DEVICE float gelu_erf(float x) { return 0.5f * x * erfcf(-0.70710678f * x); }

/// x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3). Since (1 + tanh(u)) / 2 = 1 / (1 + e^-2u), exactly,
/// this is one exp and no cancellation for negative x.
WARPLOOP_DEVICE float gelu_tanh(float x) {
  const float twice_u = 1.59576912f * x * (1.0f + 0.044715f * x * x);
  return x / (1.0f + expf(-twice_u));
}

}  // namespace warploop::cuda
