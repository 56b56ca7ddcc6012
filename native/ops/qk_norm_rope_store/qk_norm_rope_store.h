// What attention does to the queries, keys and values of new tokens before it looks at them, in one op: norms
// of heads, rotation, and keys and values into their pages.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/kv_codes.h"
#include "core/tensor_view.h"

namespace warploop {

struct QkNormRopeStoreParams {
  static constexpr int64_t kMostWidth = 512;  // Dh

  TensorView q;          // [T, Hq, Dh], f32 | bf16 | f16, rows strided; normalised and rotated in place
  TensorView k;          // [T, Hkv, Dh], dtype of q, rows strided
  TensorView v;          // [T, Hkv, Dv], dtype of q, rows strided
  TensorView q_weight;   // [Dh], f32; optional: no norm
  TensorView k_weight;   // [Dh], f32; optional: no norm
  TensorView positions;  // [T], i32
  TensorView table;      // [Lmax, R], f32, rows strided: R/2 cosines, then R/2 sines; R even, 2 <= R <= Dh
  TensorView k_pages;    // [P, Ps, Hkv, Dh], f32 | bf16 | f16 | i8 | fp8e4m3, rows strided; written
  TensorView v_pages;    // [P, Ps, Hkv, Dv], one of the same dtypes, rows strided; written
  TensorView slots;  // [T], i32: page * Ps + offset, different for every token; -1: the token is not stored
  float eps;         // > 0
  TensorView
      k_scales;  // [P, Ps, Hkv], f32, rows strided: with i8 and fp8e4m3 only (core/kv_codes.h); written
  TensorView v_scales;  // the same of v_pages; with one head also [P, Ps, ceil(Dv / 128)], as latents have it
};

/// Groups of a head of values, each with its scale, and how wide they are.
struct ValueGroups {
  int64_t count, width;
};
inline ValueGroups value_groups(const QkNormRopeStoreParams& p) {
  const int64_t Dv = p.v.size(2);
  if (!p.v_scales || p.v_scales.size(2) == p.v.size(1)) return {1, Dv};
  return {latent_groups(Dv), kLatentGroup};
}

/// As TypeScript passes them.
inline auto fields(QkNormRopeStoreParams& p) {
  return in_order(p.q, p.k, p.v, optional(p.q_weight), optional(p.k_weight), p.positions, p.table, p.k_pages,
                  p.v_pages, p.slots, p.eps, optional(p.k_scales), optional(p.v_scales));
}

void check(const QkNormRopeStoreParams& p, Check& c);

}  // namespace warploop
