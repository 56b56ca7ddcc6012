// Stored rows on a GPU: every row, input and group of them verified on the way. What is refused is reported
// as the CPU does (cpu/stored_rows.h).
#pragma once
#include "cuda/cuda_context.h"
#include "cuda/device/fault.cuh"
#include "formats/stored.h"

namespace warploop::cuda {

struct StoredSource {
  StoredData data;
  FaultSite row_fault, input_fault, group_fault, scale_fault, code_fault;
};

inline StoredSource stored_source(const StoredView& view, OpId op, CudaContext& context) {
  const auto site = [&](const char* text) { return context.fault_site(op, text); };
  return {stored_data(view),
          site("rowOrder[{index}] = {value} is outside the stored rows {column} to {limit}"),
          site("kOrder[{index}] = {value} is outside [0, K={limit})"),
          site("gIdx[{index}] = {value} is outside the {limit} groups"),
          site("the scale of stored row {index}, group {value} is NaN"),
          site("stored row {index} has NaN at input {value}")};
}

/// The stored row behind row i; -1: it is refused.
WARPLOOP_DEVICE int64_t stored_row(const StoredSource& p, int64_t i) {
  const StoredData& s = p.data;
  const int64_t row = s.row(i);
  if (s.has_row(row)) return row;
  raise_fault(p.row_fault, row, s.first_row + s.some_rows - 1, i, s.first_row);
  return -1;
}

struct StoredPlace {
  int64_t k, group;  // stored input; -1: it is refused
};
/// Of input j of a stored row.
template <class Format>
WARPLOOP_DEVICE StoredPlace stored_place(const StoredSource& p, int64_t row, int64_t j) {
  const StoredData& s = p.data;
  const int64_t k = s.input(j);
  if (!s.has_input(k)) {
    raise_fault(p.input_fault, k, s.stored_inputs, s.first_input + j);
    return {-1, 0};
  }
  const int64_t g = s.group_of(k);
  if (!s.has_group(g)) {
    raise_fault(p.group_fault, g, s.groups, k);
    return {-1, 0};
  }
  if (Format::is_nan_factor(s, row, g)) {
    raise_fault(p.scale_fault, g, 0, row);
    return {-1, 0};
  }
  return {k, g};
}

/// The code of a stored input; 0 of what is refused.
template <class Format>
WARPLOOP_DEVICE int32_t stored_code(const StoredSource& p, int64_t row, int64_t k) {
  const int32_t code = Format::code(p.data, row, k);
  if (!is_nan_code<Format::kCodes>(code)) return code;
  raise_fault(p.code_fault, k, 0, row);
  return 0;
}

/// Element j of a stored row; 0 of what is refused.
template <class Format>
WARPLOOP_DEVICE float stored_element(const StoredSource& p, int64_t row, int64_t j) {
  const StoredPlace at = stored_place<Format>(p, row, j);
  if (at.k < 0) return 0;
  return stored_value<Format>(stored_code<Format>(p, row, at.k), stored_group<Format>(p.data, row, at.group));
}

}  // namespace warploop::cuda
