// What ops do to one row (a head, or a whole token): shared by those that do one of these things and those
// that do several at once, so that both have the same bits.
#pragma once
#include <cmath>
#include <cstring>
#include <type_traits>

#include "core/tensor_view.h"
#include "cpu/activations.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// h = x (+ residual, which becomes h) (* silu(gate));
/// out = h / sqrt(mean(h^2) + eps) * (weight_offset + weight)
///
/// f32 throughout; the order of the sum depends on D only. `out` may be x; `residual` and `gate` may be null.
template <class X, class O>
void norm_row(const X* x, const float* weight, float* residual, const X* gate, O* out, int64_t D, float eps,
              float weight_offset) {
  vf squares{};
  for_lanes(D, [&](int64_t i, int n) {
    vf h = load_some(x + i, n);
    if (residual) {
      h += load_some(residual + i, n);
      store_some(residual + i, h, n);
    }
    if (gate) h *= silu(load_some(gate + i, n));
    squares += h * h;
  });
  const float scale = 1.0f / std::sqrt(reduce_add(squares) / static_cast<float>(D) + eps);
  for_lanes(D, [&](int64_t i, int n) {
    vf h = residual ? load_some(residual + i, n) : load_some(x + i, n);
    if (gate) h *= silu(load_some(gate + i, n));
    store_some(out + i, h * scale * (load_some(weight + i, n) + weight_offset), n);
  });
}

/// Turns the pairs (x[i], x[half + i]), in place.
template <class X>
void rotate_halves(X* x, const float* cosines, const float* sines, int64_t half) {
  for_lanes(half, [&](int64_t i, int n) {
    const vf a = load_some(x + i, n), b = load_some(x + half + i, n);
    const vf c = load_some(cosines + i, n), s = load_some(sines + i, n);
    store_some(x + i, a * c - b * s, n);
    store_some(x + half + i, b * c + a * s, n);
  });
}

/// First element of a slot in pages [P, Ps, ...].
template <class O>
O* in_slot(const TensorView& pages, int64_t slot) {
  const int64_t page_size = pages.size(1);
  return pages.as<O>() + slot / page_size * pages.stride(0) + slot % page_size * pages.stride(1);
}

/// Equal dtypes keep every bit; a conversion rounds to nearest even.
template <class X, class O>
void convert_row(const X* from, O* to, int64_t width) {
  if constexpr (std::is_same_v<X, O>) {
    std::memcpy(to, from, static_cast<size_t>(width) * sizeof(O));
  } else {
    for_lanes(width, [&](int64_t i, int n) { store_some(to + i, load_some(from + i, n), n); });
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
