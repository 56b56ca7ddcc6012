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

/// Calls body(j, token) for the keys [begin, end) of a sequence with chosen tokens.
template <class Body>
void for_chosen(const AttentionSequence& s, int64_t begin, int64_t end, const Body& body) {
  const bool has_gaps = s.columns > s.num_keys;
  const int32_t* next = s.tokens + (has_gaps ? 0 : begin);
  for (int64_t j = has_gaps ? 0 : begin; j < end; next++) {
    if (*next < 0) continue;
    if (j >= begin) body(j, *next);
    j++;
  }
}

/// Calls body(j, page, place in the page) for the keys tile + j that are within [first, last), of the
/// kTileKeys from `tile` on.
template <class Body>
void for_tile_keys(const AttentionProblem& p, const AttentionSequence& s, int64_t tile, int64_t first,
                   int64_t last, const Body& body) {
  const int64_t page_size = p.k.size(1), begin = std::max(tile, first),
                end = std::min(tile + kTileKeys, last);
  const auto page_of = [&](int64_t token) {
    const int64_t index = token / page_size, page = s.pages ? s.pages[index] : s.first_page + index;
    if (page >= 0 && page < p.k.size(0)) return page;
    fail_execution("page ", page, " of token ", token, " is outside [0, ", p.k.size(0), ")");
  };
  if (s.tokens) {
    for_chosen(s, begin, end,
               [&](int64_t j, int64_t token) { body(j - tile, page_of(token), token % page_size); });
    return;
  }
  for (int64_t j = begin; j < end;) {
    const int64_t page = page_of(j), first_of_page = j / page_size * page_size;
    for (const int64_t stop = std::min(first_of_page + page_size, end); j < stop; j++)
      body(j - tile, page, j - first_of_page);
  }
}

/// Keys of a tile that are outside [first, last) repeat one that is within.
template <class T>
void repeat_rows(int64_t tile, int64_t first, int64_t last, TileRows<T>& rows) {
  const int64_t begin = std::max(tile, first), end = std::min(tile + kTileKeys, last);
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

/// The keys of the tile that begins at `tile`, as far as they are within [first, last), for head `head`.
template <class T>
void find_rows(const AttentionProblem& p, const AttentionSequence& s, int64_t head, int64_t tile,
               int64_t first, int64_t last, TileRows<T>& rows) {
  for_tile_keys(p, s, tile, first, last, [&](int64_t j, int64_t page, int64_t at) {
    rows.keys[j] = p.k.as<T>() + page * p.k.stride(0) + head * p.k.stride(2) + at * p.k.stride(1);
    rows.values[j] = p.v.as<T>() + page * p.v.stride(0) + head * p.v.stride(2) + at * p.v.stride(1);
    if constexpr (kIsCode<T>) {
      rows.key_scales[j] = find_scale(p.k_scales, page, at, head);
      rows.value_scales[j] = find_scale(p.v_scales, page, at, head);
    }
  });
  repeat_rows(tile, first, last, rows);
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
