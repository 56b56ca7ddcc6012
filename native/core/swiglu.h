// How a gate and its up become one number: what ops that have both take of their caller.
#pragma once

namespace warploop {

/// silu(g) u; clamped: h / (1 + e^(-alpha h)) (v + 1), h = min(g, limit), v = min(max(u, -limit), limit).
/// Source: openai/gpt-oss, gpt_oss/torch/model.py, `swiglu`.
struct Swiglu {
  bool clamped;
  float limit, alpha;
};

/// Of Params with these three fields.
template <class Params>
Swiglu swiglu_of(const Params& p) {
  return {p.clamped, p.limit, p.alpha};
}

}  // namespace warploop
