// What:      a' = a cos - b sin;  b' = b cos + a sin  for the pairs (a, b) of the first R dimensions of every
//            head; (a, b) = (x[i], x[i + R/2]), or (x[2i], x[2i + 1]) when interleaved, 0 <= i < R/2
// Steps:     1. find the row of the table   2. rotate each head of q and k
// Mapping:   tokens are dealt to threads; the table row of a token stays in L1 for all its heads
// Numerics:  f32, rounded once to the dtype of x
// Source:    Su et al.: RoFormer, arXiv 2104.09864, section 3.4.2; split halves as in GPT-NeoX and Llama
#include "ops/rope/rope.h"

#include <utility>

#include "cpu/head_rows.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

template <size_t... I>
WARPLOOP_INLINE vf pick(vf a, vf b, size_t first, std::index_sequence<I...>) {
  return first == 0 ? __builtin_shufflevector(a, b, (2 * I)...)
                    : __builtin_shufflevector(a, b, (2 * I + 1)...);
}

template <size_t... I>
WARPLOOP_INLINE vf zip(vf a, vf b, bool high, std::index_sequence<I...>) {
  constexpr size_t kHalf = kLanes / 2;
  return high ? __builtin_shufflevector(a, b, (kHalf + I / 2 + I % 2 * kLanes)...)
              : __builtin_shufflevector(a, b, (I / 2 + I % 2 * kLanes)...);
}

template <class X>
void rotate_pairs(X* x, const float* cosines, const float* sines, int64_t half) {
  constexpr auto kIndices = std::make_index_sequence<kLanes>{};
  for_lanes(half, [&](int64_t i, int n) {
    // 2 n elements: a full vector and the rest, or a part of one
    const int low = std::min(2 * n, kLanes), high = 2 * n - low;
    const vf v0 = load_some(x + 2 * i, low), v1 = load_some(x + 2 * i + low, high);
    const vf a = pick(v0, v1, 0, kIndices), b = pick(v0, v1, 1, kIndices);
    const vf c = load_some(cosines + i, n), s = load_some(sines + i, n);
    const vf first = a * c - b * s, second = b * c + a * s;
    store_some(x + 2 * i, zip(first, second, false, kIndices), low);
    store_some(x + 2 * i + low, zip(first, second, true, kIndices), high);
  });
}

template <class X>
void rotate_token(const TensorView& x, int64_t token, const float* table, int64_t half, bool interleaved) {
  X* head = x.as<X>() + token * x.stride(0);
  for (int64_t h = 0; h < x.size(1); h++, head += x.stride(1)) {
    interleaved ? rotate_pairs(head, table, table + half, half)
                : rotate_halves(head, table, table + half, half);
  }
}

}  // namespace

void rope(const RopeParams& p, CpuContext& context) {
  const int64_t rows = p.table.size(0), width = p.table.size(1);
  const int64_t heads = p.q.size(1) + (p.k ? p.k.size(1) : 0);
  dispatch_float(p.q.dtype, [&]<class X>(X) {
    for_rows(context, p.q.size(0), heads * width, [&](int64_t token) {
      const int64_t position = p.positions.as<int32_t>()[token];  // 1.
      if (position < 0 || position >= rows) {
        fail_execution("positions[", token, "] = ", position, " is outside [0, ", rows, ")");
      }
      const float* table = p.table.as<float>() + position * p.table.stride(0);
      rotate_token<X>(p.q, token, table, width / 2, p.interleaved);  // 2.
      if (p.k) rotate_token<X>(p.k, token, table, width / 2, p.interleaved);
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
