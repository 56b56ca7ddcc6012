// Raising a fault; see cuda/fault.h.
#pragma once
#include "cuda/device/memory.cuh"
#include "cuda/fault.h"

namespace warploop::cuda {

/// Any thread may call it; only the first of the stream is kept. The numbers take the places of "{value}",
/// "{limit}", "{index}" and "{column}" in the site's text.
WARPLOOP_DEVICE void raise_fault(const FaultSite& site, long long value, long long limit, long long index = 0,
                                 long long column = 0) {
  if (atomic_compare_exchange(&site.record->raised, 0u, 1u) != 0u) return;
  site.record->op = site.op;
  site.record->text = site.text;
  site.record->value = value;
  site.record->limit = limit;
  site.record->index = index;
  site.record->column = column;
}

}  // namespace warploop::cuda
