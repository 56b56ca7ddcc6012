// Scatters the keys and values of new tokens into KV pages, in place.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

struct KvStoreParams {
  TensorView k;        // [T, Hkv, Dh], f32 | bf16 | f16, rows strided
  TensorView v;        // [T, Hkv, Dv], dtype of k, rows strided
  TensorView k_pages;  // [P, Ps, Hkv, Dh], f32 | bf16 | f16 | i8 | fp8e4m3, rows strided; written
  TensorView v_pages;  // [P, Ps, Hkv, Dv], dtype of k_pages, rows strided; written
  TensorView slots;    // [T], i32: page * Ps + offset, different for every token; -1: the token is not stored
  TensorView
      k_scales;  // [P, Ps, Hkv], f32, rows strided: with i8 and fp8e4m3 only (core/kv_codes.h); written
  TensorView v_scales;  // the same of v_pages
};

/// As TypeScript passes them.
inline auto fields(KvStoreParams& p) {
  return in_order(p.k, p.v, p.k_pages, p.v_pages, p.slots, optional(p.k_scales), optional(p.v_scales));
}

void check(const KvStoreParams& p, Check& c);

}  // namespace warploop
