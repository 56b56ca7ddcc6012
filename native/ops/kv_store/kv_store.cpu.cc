// What:      pages[slot / Ps, slot % Ps, h, :] = x[t, h, :] with slot = slots[t], for keys and values;
//            slot -1: nothing
// Steps:     1. find the slot   2. copy (same dtype), convert or quantise each head
// Mapping:   tokens are dealt to threads
// Numerics:  a conversion rounds to nearest even; codes and their scales: core/kv_codes.h
// Source:    Kwon et al.: Efficient Memory Management for LLM Serving with PagedAttention, arXiv 2309.06180,
//            section 4
#include "ops/kv_store/kv_store.h"

#include "cpu/codes.h"
#include "cpu/head_rows.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

template <class X, class O>
void store_token(const TensorView& x, int64_t token, const TensorView& pages, const TensorView& scales,
                 int64_t slot) {
  const int64_t heads = pages.size(2), width = pages.size(3);
  const X* from = x.as<X>() + token * x.stride(0);
  O* to = in_slot<O>(pages, slot);
  for (int64_t h = 0; h < heads; h++, from += x.stride(1), to += pages.stride(2)) {
    if constexpr (kIsCode<O>) {
      quantise_row(from, to, in_slot<float>(scales, slot) + h, width);
    } else {
      convert_row(from, to, width);
    }
  }
}

}  // namespace

void kv_store(const KvStoreParams& p, CpuContext& context) {
  const int64_t tokens = p.k.size(0), num_slots = p.k_pages.size(0) * p.k_pages.size(1);
  const int64_t cost = p.k.size(1) * (p.k.size(2) + p.v.size(2));
  dispatch_float(p.k.dtype, [&]<class X>(X) {
    dispatch_pages(p.k_pages.dtype, [&]<class O>(O) {
      for_rows(context, tokens, cost, [&](int64_t token) {
        const int64_t slot = p.slots.as<int32_t>()[token];  // 1.
        if (slot == -1) return;
        if (slot < -1 || slot >= num_slots) {
          fail_execution("slots[", token, "] = ", slot, " is outside [-1, ", num_slots, ")");
        }
        store_token<X, O>(p.k, token, p.k_pages, p.k_scales, slot);  // 2.
        store_token<X, O>(p.v, token, p.v_pages, p.v_scales, slot);
      });
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
