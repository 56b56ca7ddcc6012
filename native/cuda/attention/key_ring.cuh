// Keys and values on their way into shared memory: a ring of tiles of kKeys tokens, filled by cp.async row by
// row. Where each row lies is looked up one step before its copy is issued, so that the latency of the page
// table hides behind a tile of arithmetic.
//
// Tiles that the block mask hides from all rows are left out, when tiles are looked up (next_tile()).
//
// Rules of the ring, for tile i of n, slot i % kStages:
//   begin(): looks up the first kStages tiles, a barrier, issues the first kStages - 1
//   advance(i): waits for tile i, a barrier; issues tile i + kStages - 1 into the slot that tile
//     i - 1 has left; looks up tile i + kStages. Tile i may be read until the next advance().
#pragma once
#include "cuda/attention/queue.cuh"
#include "cuda/attention/tile.cuh"
#include "cuda/device/fault.cuh"

namespace warploop::cuda {

/// Where the tiles come from: the keys of an item for one head. Rows outside keys.first and keys.last are
/// zero, because a probability of 0 times NaN is NaN, and their pages are not looked up.
struct KeySource {
  const AttentionProblem& p;
  const AttentionItem& item;
  const ItemKeys& keys;
  int head;
};

/// Offsets of a token's key and value, in elements; -1: a row of zeros.
struct KeyRow {
  int64_t key, value;
};

/// Page and place in it of a token; page -1: there is none.
struct KeyPlace {
  int64_t page;
  int at;
};
/// The page that is said to have a token, not verified.
WARPLOOP_DEVICE int64_t stored_page(const KeySource& s, int token) {
  const int index = token / static_cast<int>(s.p.k.sizes[1]);
  if (!s.p.page_table) return s.item.pages + index;
  return s.p.page_table.as<int32_t>()[s.item.pages * s.p.page_table.strides[0] + index];
}
WARPLOOP_DEVICE KeyPlace place_in(const KeySource& s, int64_t page, int token) {
  if (page >= 0 && page < s.p.k.sizes[0]) return {page, token % static_cast<int>(s.p.k.sizes[1])};
  raise_fault(s.p.bad_page, page, s.p.k.sizes[0], token);
  return {-1, 0};
}
WARPLOOP_DEVICE KeyPlace place_of(const KeySource& s, int token) {
  return place_in(s, stored_page(s, token), token);
}
WARPLOOP_DEVICE KeyPlace find_place(const KeySource& s, int token) {
  if (token < s.keys.first || token >= s.keys.last) return {-1, 0};
  return place_of(s, token);
}
WARPLOOP_DEVICE KeyRow row_at(const KeySource& s, const KeyPlace& place) {
  if (place.page < 0) return {-1, -1};
  const TensorView &k = s.p.k, &v = s.p.v;
  return {place.page * k.strides[0] + place.at * k.strides[1] + s.head * k.strides[2],
          place.page * v.strides[0] + place.at * v.strides[1] + s.head * v.strides[2]};
}
WARPLOOP_DEVICE KeyRow find_row(const KeySource& s, int token) { return row_at(s, find_place(s, token)); }

/// The token that key `at` of the item is said to be: itself, or with indices what stands in that column, not
/// verified; -1: none.
WARPLOOP_DEVICE int stored_token(const KeySource& s, int at) {
  if (at < s.keys.first || at >= s.keys.last) return -1;
  if (!s.p.indices) return at;
  return s.p.indices.as<int32_t>()[s.item.first_query * s.p.indices.strides[0] + at];
}
/// The token itself if it is one of the first `end`, else -1.
WARPLOOP_DEVICE int verified_token(const KeySource& s, int token, int end) {
  if (token >= 0 && token < end) return token;
  if (token != -1) raise_fault(s.p.bad_index, token, end, s.item.first_query);
  return -1;
}

/// The same of codes, with their scales; 0 for a row of zeros.
struct CodeRow {
  KeyRow row;
  float key_scale, value_scale;
};
WARPLOOP_DEVICE CodeRow code_row_at(const KeySource& s, const KeyPlace& place) {
  if (place.page < 0) return {{-1, -1}, 0, 0};
  const auto scale = [&](const TensorView& of) {
    return of.as<float>()[place.page * of.strides[0] + place.at * of.strides[1] + s.head];
  };
  return {row_at(s, place), scale(s.p.k_scales), scale(s.p.v_scales)};
}

/// Copies rows of `width` elements, the last chunks of kWidth filled with zeros. row(r): their element offset
/// in `from`, or -1 for zeros.
template <int kRows, int kWidth, int kThreads, class T, class RowFn>
WARPLOOP_DEVICE void copy_rows(T* to, const T* from, int width, RowFn row) {
  constexpr int kChunks = kWidth / 8;
  static_assert(kRows * kChunks % kThreads == 0);
  const uint32_t base = shared_address(to);
#pragma unroll 4
  for (int i = 0; i < kRows * kChunks / kThreads; i++) {
    const int index = i * kThreads + static_cast<int>(threadIdx.x), r = index / kChunks,
              chunk = index % kChunks;
    const int64_t at = row(r);
    const bool valid = at >= 0 && chunk * 8 < width;
    copy_async_16(base + chunk_offset<kWidth>(r, chunk), valid ? from + at + chunk * 8 : from, valid);
  }
}

/// Which keys the tiles of a ring begin with: of a tile from its look-up on, until it has been read. A member
/// of the kernel's shared plan.
template <int kKeys, int kStages>
struct RingTiles {
  int first[2 * kStages];  // kStages + 1 are in use

  WARPLOOP_DEVICE int operator[](int i) const { return first[i % (2 * kStages)]; }

  /// Finds tile i, the first one from `from` on, and calls look_up(tile) if there is one. Thread 0
  /// is among those that call it.
  template <class LookUp>
  WARPLOOP_DEVICE int find(const KeySource& s, const SeenBlocks& blocks, int i, int from, LookUp look_up) {
    const int tile = next_tile<kKeys>(s.p, s.keys, blocks, from);
    if (threadIdx.x == 0) first[i % (2 * kStages)] = tile;
    if (tile < s.keys.last) look_up(tile);
    return tile;
  }
};

template <class T, int kDh, int kDv, int kKeys, int kStages, int kThreads>
class KeyRing {
 public:
  /// A member of the kernel's shared plan.
  struct Storage {
    struct Stage {
      alignas(128) T keys[kKeys * kDh];
      alignas(128) T values[kKeys * kDv];
    };
    Stage stages[kStages];
    KeyRow rows[kStages][kKeys];
    RingTiles<kKeys, kStages> tiles;
  };

  WARPLOOP_DEVICE KeyRing(Storage& storage, const KeySource& source, const SeenBlocks& blocks)
      : storage_(storage), source_(source), blocks_(blocks) {}

  /// Which key tile i begins with; at keys.last or behind: there are no more than i tiles. Of the tile that
  /// may be read, and of the next one.
  WARPLOOP_DEVICE int tile(int i) const { return storage_.tiles[i]; }
  WARPLOOP_DEVICE typename Storage::Stage& stage(int i) { return storage_.stages[i % kStages]; }

  WARPLOOP_DEVICE void begin() {
    int from = source_.keys.first / kKeys * kKeys;
#pragma unroll
    for (int i = 0; i < kStages; i++) from = look_up(i, from) + kKeys;
    sync_block();
#pragma unroll
    for (int i = 0; i < kStages - 1; i++) issue(i);
  }
  WARPLOOP_DEVICE void advance(int i) {
    copy_async_wait<kStages - 2>();
    sync_block();
    issue(i + kStages - 1);
    look_up(i + kStages, storage_.tiles[i + kStages - 1] + kKeys);
  }

 private:
  WARPLOOP_DEVICE bool has(int i) const { return storage_.tiles[i] < source_.keys.last; }
  /// Tile i, the first one from `from` on.
  WARPLOOP_DEVICE int look_up(int i, int from) {
    static_assert(kKeys <= kThreads);
    if (static_cast<int>(threadIdx.x) >= kKeys) return from;
    return storage_.tiles.find(source_, blocks_, i, from, [&](int tile) {
      // In two statements: the race checker does not see what a call writes where its result goes.
      const KeyRow row = find_row(source_, tile + static_cast<int>(threadIdx.x));
      storage_.rows[i % kStages][threadIdx.x] = row;
    });
  }
  WARPLOOP_DEVICE void issue(int i) {
    if (has(i)) {
      auto& to = stage(i);
      const KeyRow* rows = storage_.rows[i % kStages];
      copy_rows<kKeys, kDh, kThreads>(to.keys, source_.p.k.template as<T>(),
                                      static_cast<int>(source_.p.k.sizes[3]),
                                      [rows](int r) { return rows[r].key; });
      copy_rows<kKeys, kDv, kThreads>(to.values, source_.p.v.template as<T>(),
                                      static_cast<int>(source_.p.v.sizes[3]),
                                      [rows](int r) { return rows[r].value; });
    }
    copy_async_commit();
  }

  Storage& storage_;
  const KeySource source_;
  const SeenBlocks& blocks_;
};

}  // namespace warploop::cuda
