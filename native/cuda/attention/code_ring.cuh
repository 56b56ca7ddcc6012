// Keys and values that are kept as codes (core/kv_codes.h) on their way into shared memory: a ring as
// key_ring.cuh has it, of codes, and one tile of what they are in T, without their scales. So half the bytes
// are read and nothing is written back; the scales become factors of scores and probabilities.
//
// Rules of the ring, for tile i of n, slot i % kStages:
//   begin(): looks up the first kStages tiles, a barrier, issues the first kStages - 1
//   advance(i): waits for tile i, a barrier; issues tile i + kStages - 1 into the slot that tile
//     i - 1 has left; converts tile i, takes its scales, a barrier; looks up tile i + kStages. The tile may
//     be read until the next advance().
#pragma once
#include "cuda/attention/key_ring.cuh"

namespace warploop::cuda {

/// Copies rows of `width` codes. row(r): their element offset in `from`, or -1 for zeros.
template <int kRows, int kWidth, int kThreads, class RowFn>
WARPLOOP_DEVICE void copy_code_rows(uint8_t* to, const uint8_t* from, int width, RowFn row) {
  constexpr int kChunks = kWidth / 16;
  static_assert(kRows * kChunks % kThreads == 0);
  const uint32_t base = shared_address(to);
#pragma unroll
  for (int i = 0; i < kRows * kChunks / kThreads; i++) {
    const int index = i * kThreads + static_cast<int>(threadIdx.x), r = index / kChunks,
              chunk = index % kChunks;
    const int64_t at = row(r);
    const bool valid = at >= 0 && chunk * 16 < width;
    copy_async_16(base + r * kWidth + chunk * 16, valid ? from + at + chunk * 16 : from, valid);
  }
}

/// codes [kRows][kWidth] -> a tile of T (tile.cuh).
template <int kRows, int kWidth, int kThreads, class T>
WARPLOOP_DEVICE void convert_codes(DType dtype, const uint8_t* codes, T* tile) {
  constexpr int kChunks = kWidth / 8;
  static_assert(kRows * kChunks % kThreads == 0);
#pragma unroll 4
  for (int i = 0; i < kRows * kChunks / kThreads; i++) {
    const int index = i * kThreads + static_cast<int>(threadIdx.x), r = index / kChunks,
              chunk = index % kChunks;
    const uint2 eight = *reinterpret_cast<const uint2*>(codes + r * kWidth + chunk * 8);
    const uint32_t words[2] = {eight.x, eight.y};
    uint32_t pairs[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const uint32_t two = words[j / 2] >> (j % 2 * 16);
      pairs[j] = pack_pair<T>(code_value(dtype, two), code_value(dtype, two >> 8));
    }
    auto* to = reinterpret_cast<std::byte*>(tile) + chunk_offset<kWidth>(r, chunk);
    *reinterpret_cast<uint4*>(to) = {pairs[0], pairs[1], pairs[2], pairs[3]};
  }
}

template <class T, int kDh, int kDv, int kKeys, int kStages, int kThreads>
class CodeRing {
 public:
  /// A member of the kernel's shared plan.
  struct Storage {
    struct Stage {
      alignas(128) T keys[kKeys * kDh];
      alignas(128) T values[kKeys * kDv];
      alignas(16) float key_scales[kKeys];
      alignas(16) float value_scales[kKeys];
    };
    struct Codes {
      alignas(128) uint8_t keys[kKeys * kDh];
      alignas(128) uint8_t values[kKeys * kDv];
    };
    Stage tile;
    Codes stages[kStages];
    CodeRow rows[kStages][kKeys];
    RingTiles<kKeys, kStages> tiles;
  };

  WARPLOOP_DEVICE CodeRing(Storage& storage, const KeySource& source, const SeenBlocks& blocks)
      : storage_(storage), source_(source), blocks_(blocks) {}

  /// Which key tile i begins with; at keys.last or behind: there are no more than i tiles. Of the tile that
  /// may be read, and of the next one.
  WARPLOOP_DEVICE int tile(int i) const { return storage_.tiles[i]; }
  WARPLOOP_DEVICE typename Storage::Stage& stage(int) { return storage_.tile; }

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
    convert(i);
    sync_block();
    look_up(i + kStages, storage_.tiles[i + kStages - 1] + kKeys);
  }

 private:
  WARPLOOP_DEVICE bool has(int i) const { return storage_.tiles[i] < source_.keys.last; }
  /// Tile i, the first one from `from` on.
  WARPLOOP_DEVICE int look_up(int i, int from) {
    static_assert(kKeys <= kThreads);
    if (static_cast<int>(threadIdx.x) >= kKeys) return from;
    return storage_.tiles.find(source_, blocks_, i, from, [&](int tile) {
      const CodeRow row = code_row_at(source_, find_place(source_, tile + static_cast<int>(threadIdx.x)));
      storage_.rows[i % kStages][threadIdx.x] = row;  // in two statements, as in key_ring.cuh
    });
  }
  WARPLOOP_DEVICE void issue(int i) {
    if (has(i)) {
      auto& to = storage_.stages[i % kStages];
      const CodeRow* rows = storage_.rows[i % kStages];
      copy_code_rows<kKeys, kDh, kThreads>(to.keys, source_.p.k.template as<uint8_t>(),
                                           static_cast<int>(source_.p.k.sizes[3]),
                                           [rows](int r) { return rows[r].row.key; });
      copy_code_rows<kKeys, kDv, kThreads>(to.values, source_.p.v.template as<uint8_t>(),
                                           static_cast<int>(source_.p.v.sizes[3]),
                                           [rows](int r) { return rows[r].row.value; });
    }
    copy_async_commit();
  }
  WARPLOOP_DEVICE void convert(int i) {
    if (!has(i)) return;
    const auto& from = storage_.stages[i % kStages];
    const DType dtype = source_.p.k.dtype;
    convert_codes<kKeys, kDh, kThreads>(dtype, from.keys, storage_.tile.keys);
    convert_codes<kKeys, kDv, kThreads>(dtype, from.values, storage_.tile.values);
    if (static_cast<int>(threadIdx.x) >= kKeys) return;
    const CodeRow& row = storage_.rows[i % kStages][threadIdx.x];
    storage_.tile.key_scales[threadIdx.x] = row.key_scale;
    storage_.tile.value_scales[threadIdx.x] = row.value_scale;
  }

  Storage& storage_;
  const KeySource source_;
  const SeenBlocks& blocks_;
};

}  // namespace warploop::cuda
