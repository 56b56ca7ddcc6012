// Stored rows on the CPU: every row, input and group of them verified on the way.
#pragma once
#include "core/error.h"
#include "formats/stored.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// The stored row behind row i.
inline int64_t stored_row(const StoredData& s, int64_t i) {
  const int64_t row = s.row(i);
  if (!s.has_row(row)) {
    fail_execution("rowOrder[", i, "] = ", row, " is outside the stored rows ", s.first_row, " to ",
                   s.first_row + s.some_rows - 1);
  }
  return row;
}

/// The stored input behind input j.
inline int64_t stored_input(const StoredData& s, int64_t j) {
  const int64_t k = s.input(j);
  if (!s.has_input(k))
    fail_execution("kOrder[", s.first_input + j, "] = ", k, " is outside [0, K=", s.stored_inputs, ")");
  return k;
}

/// The group of a stored input.
inline int64_t stored_group_of(const StoredData& s, int64_t k) {
  const int64_t g = s.group_of(k);
  if (!s.has_group(g)) fail_execution("gIdx[", k, "] = ", g, " is outside the ", s.groups, " groups");
  return g;
}

/// A weight of NaN is not loaded.
template <class Format>
void require_numbers(const StoredData& s, int64_t row, int64_t g) {
  if (Format::is_nan_factor(s, row, g))
    fail_execution("the scale of stored row ", row, ", group ", g, " is NaN");
}
template <class Format>
int32_t stored_code(const StoredData& s, int64_t row, int64_t k) {
  const int32_t code = Format::code(s, row, k);
  if (is_nan_code<Format::kCodes>(code)) fail_execution("stored row ", row, " has NaN at input ", k);
  return code;
}

/// Element j of a stored row.
template <class Format>
float stored_element(const StoredData& s, int64_t row, int64_t j) {
  const int64_t k = stored_input(s, j), g = stored_group_of(s, k);
  require_numbers<Format>(s, row, g);
  return stored_value<Format>(stored_code<Format>(s, row, k), stored_group<Format>(s, row, g));
}

}  // namespace warploop::cpu::WARPLOOP_ISA
