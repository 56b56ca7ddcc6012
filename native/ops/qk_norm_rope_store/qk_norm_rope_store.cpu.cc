// What:      q = rope(norm(q)), in place;  kPages[slot] = rope(norm(k)), vPages[slot] = v, slot = slots[t]:
//            rms_norm with a weight (without one: nothing), rope of split halves and kv_store
// Steps:     1. find the row of the table and the slot   2. queries   3. keys   4. values
// Mapping:   tokens are dealt to threads; a key is normalised and rotated where it is stored, or where its
//            page has another dtype, in a buffer on the stack
// Numerics:  rounded where the separate ops store: to the dtype of q behind the norm and behind the rotation,
//            then to that of the pages (codes and their scales: core/kv_codes.h). The same bits as those ops
// Source:    as rms_norm, rope and kv_store
#include "ops/qk_norm_rope_store/qk_norm_rope_store.h"

#include "cpu/codes.h"
#include "cpu/head_rows.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// out = rope(norm(x)); `out` may be x. @param table the row of a position: cosines, then sines
template <class X>
void prepare_head(const X* x, X* out, int64_t Dh, const TensorView& weight, float eps, const float* table,
                  int64_t half) {
  if (weight) {
    norm_row(x, weight.as<float>(), nullptr, static_cast<const X*>(nullptr), out, Dh, eps, 0.0f);
  } else if (x != out) {
    convert_row(x, out, Dh);
  }
  rotate_halves(out, table, table + half, half);
}

template <class X, class O>
void store_keys(const QkNormRopeStoreParams& p, int64_t token, int64_t slot, const float* table,
                int64_t half) {
  const int64_t Dh = p.k.size(2);
  const X* k = p.k.as<X>() + token * p.k.stride(0);
  O* to = in_slot<O>(p.k_pages, slot);
  for (int64_t h = 0; h < p.k.size(1); h++, k += p.k.stride(1), to += p.k_pages.stride(2)) {
    if constexpr (std::is_same_v<X, O>) {
      prepare_head(k, to, Dh, p.k_weight, p.eps, table, half);
    } else {
      X head[QkNormRopeStoreParams::kMostWidth];
      prepare_head(k, head, Dh, p.k_weight, p.eps, table, half);
      if constexpr (kIsCode<O>) {
        quantise_row(head, to, in_slot<float>(p.k_scales, slot) + h, Dh);
      } else {
        convert_row(head, to, Dh);
      }
    }
  }
}

template <class X, class O>
void store_values(const QkNormRopeStoreParams& p, int64_t token, int64_t slot) {
  const int64_t Dv = p.v.size(2);
  const X* v = p.v.as<X>() + token * p.v.stride(0);
  O* to = in_slot<O>(p.v_pages, slot);
  for (int64_t h = 0; h < p.v.size(1); h++, v += p.v.stride(1), to += p.v_pages.stride(2)) {
    if constexpr (kIsCode<O>) {
      const ValueGroups groups = value_groups(p);
      float* scales = in_slot<float>(p.v_scales, slot) + h * groups.count;
      for (int64_t g = 0, at = 0; g < groups.count; g++, at += groups.width)
        quantise_row(v + at, to + at, scales + g, std::min(groups.width, Dv - at));
    } else {
      convert_row(v, to, Dv);
    }
  }
}

}  // namespace

void qk_norm_rope_store(const QkNormRopeStoreParams& p, CpuContext& context) {
  const int64_t Dh = p.q.size(2), Lmax = p.table.size(0), half = p.table.size(1) / 2;
  const int64_t num_slots = p.k_pages.size(0) * p.k_pages.size(1);
  const int64_t cost = (p.q.size(1) + p.k.size(1)) * Dh + p.v.size(1) * p.v.size(2);
  dispatch_float(p.q.dtype, [&]<class X>(X) {
    for_rows(context, p.q.size(0), cost, [&](int64_t token) {
      const int64_t position = p.positions.as<int32_t>()[token];  // 1.
      if (position < 0 || position >= Lmax) {
        fail_execution("positions[", token, "] = ", position, " is outside [0, ", Lmax, ")");
      }
      const int64_t slot = p.slots.as<int32_t>()[token];
      if (slot < -1 || slot >= num_slots) {
        fail_execution("slots[", token, "] = ", slot, " is outside [-1, ", num_slots, ")");
      }
      const float* table = p.table.as<float>() + position * p.table.stride(0);
      X* q = p.q.as<X>() + token * p.q.stride(0);
      for (int64_t h = 0; h < p.q.size(1); h++, q += p.q.stride(1)) {
        prepare_head(q, q, Dh, p.q_weight, p.eps, table, half);  // 2.
      }
      if (slot < 0) return;
      dispatch_pages(p.k_pages.dtype,
                     [&]<class O>(O) { store_keys<X, O>(p, token, slot, table, half); });        // 3.
      dispatch_pages(p.v_pages.dtype, [&]<class O>(O) { store_values<X, O>(p, token, slot); });  // 4.
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
