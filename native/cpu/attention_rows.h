// Where the keys and values of a tile lie, found through the pages of a sequence, and the scales of codes.
#pragma once
#include "core/error.h"
#include "cpu/attention.h"
#include "cpu/attention_tile.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Those of one head of the token `at` of a page; asks for them.
inline const float* find_scale(const TensorView& scales, int64_t page, int64_t at, int64_t head) {
  const float* found = scales.as<float>() + page * scales.stride(0) + at * scales.stride(1) + head;
  __builtin_prefetch(found, 0, 2);
  return found;
}

/// The keys of the tile that begins at `tile`, as far as they are within [first, last), for head `head`.
template <class T>
void find_rows(const AttentionProblem& p, const AttentionSequence& s, int64_t head, int64_t tile,
               int64_t first, int64_t last, TileRows<T>& rows) {
  const int64_t page_size = p.k.size(1), begin = std::max(tile, first),
                end = std::min(tile + kTileKeys, last);
  for (int64_t j = begin; j < end;) {
    const int64_t index = j / page_size;
    const int64_t page = s.pages ? s.pages[index] : s.first_page + index;
    if (page < 0 || page >= p.k.size(0)) {
      fail_execution("page ", page, " of token ", j, " is outside [0, ", p.k.size(0), ")");
    }
    const T* key = p.k.as<T>() + page * p.k.stride(0) + head * p.k.stride(2);
    const T* value = p.v.as<T>() + page * p.v.stride(0) + head * p.v.stride(2);
    for (const int64_t stop = std::min((index + 1) * page_size, end); j < stop; j++) {
      const int64_t at = j - index * page_size;
      rows.keys[j - tile] = key + at * p.k.stride(1);
      rows.values[j - tile] = value + at * p.v.stride(1);
      if constexpr (kIsCode<T>) {
        rows.key_scales[j - tile] = find_scale(p.k_scales, page, at, head);
        rows.value_scales[j - tile] = find_scale(p.v_scales, page, at, head);
      }
    }
  }
  for (int64_t j = 0; j < kTileKeys; j++) {
    if (tile + j >= begin && tile + j < end) continue;
    rows.keys[j] = begin < end ? rows.keys[begin - tile] : nullptr;
    rows.values[j] = begin < end ? rows.values[begin - tile] : nullptr;
    if constexpr (kIsCode<T>) {
      rows.key_scales[j] = begin < end ? rows.key_scales[begin - tile] : nullptr;
      rows.value_scales[j] = begin < end ? rows.value_scales[begin - tile] : nullptr;
    }
  }
}

/// The scales of the head that is `head` behind those of `rows`; nothing if keys and values are no codes.
template <class T>
void take_scales(const TileRows<T>& rows, int columns, int head, float* keys, float* values) {
  if constexpr (kIsCode<T>) {
    for (int j = 0; j < columns; j++) {
      keys[j] = rows.key_scales[j][head];
      values[j] = rows.value_scales[j][head];
    }
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
