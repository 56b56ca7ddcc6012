// How the Hopper kernel's tiles come into shared memory: queries, keys and values, each by a warp of its own.
//
// A tile [rows][D] lies as [D / 64][rows][64], rows of 128 bytes in the 128-byte swizzle: as wgmma reads it
// and the copy engine (TMA) writes it. Keys come in boxes of `box_tokens` tokens and 64 columns: a page or a
// part of one, or a whole tile where the keys of a sequence lie one behind another. The box is a lane's
// business, which finds its page a tile ahead. Of boxes of which no row of the item sees anything, nothing is
// read: they are zeros. Where pages do not fit into tiles, or the driver makes no map of a tensor,
// rows come by cp.async.
#pragma once
#include "cuda/attention/item_ring.cuh"
#include "cuda/attention/key_ring.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/swizzle.h"

namespace warploop::cuda {

inline constexpr int kHopperStages = 2;  // of keys, and of values
inline constexpr int kPiece = 64;        // columns of one swizzled row
inline constexpr int kPieceBytes = 2 * kPiece;

/// A kernel argument.
struct HopperCopies {
  int32_t box_tokens;  // of keys; 0: rows by cp.async
  bool
      query_boxes;  // the heads of a group divide the rows of a tile, or are divided: queries come in one box
};

/// One of a ring of stages: which, and the parity of its use.
struct HopperStage {
  int index;
  uint32_t parity;
};
WARPLOOP_DEVICE HopperStage stage_of(int tile) {
  return {tile % kHopperStages, static_cast<uint32_t>(tile / kHopperStages & 1)};
}

/// Copies a tile of rows of `width` elements, the last chunks of kWidth filled with zeros, and says so at
/// `full`. row(r): the element offset of row r in `from`, or -1 for zeros; each lane asks for every 32nd. A
/// whole warp.
template <int kRows, int kWidth, class T, class RowFn>
WARPLOOP_DEVICE void copy_swizzled(T* to, const T* from, int width, Mbarrier& full, RowFn row) {
  constexpr int kChunks = kWidth / 8;
  static_assert(kRows % kWarpSize == 0);
  const int lane = lane_index();
  const uint32_t base = shared_address(to);
#pragma unroll 1
  for (int first = 0; first < kRows; first += kWarpSize) {
    const int64_t own = row(first + lane);
#pragma unroll 4
    for (int i = 0; i < kChunks; i++) {
      const int index = i * kWarpSize + lane, r = index / kChunks, chunk = index % kChunks;
      const int64_t at = shuffle(own, r);
      const bool valid = at >= 0 && chunk * 8 < width;
      const uint32_t place = swizzled(Swizzle::b128, (first + r) * kPieceBytes + chunk % 8 * 16);
      copy_async_16(base + chunk / 8 * kRows * kPieceBytes + place, valid ? from + at + chunk * 8 : from,
                    valid);
    }
  }
  copy_async_commit();
  copy_async_wait<0>();
  fence_async_shared();
  sync_warp();
  if (lane == 0) mbarrier_arrive(full);
}

/// A box of keys: coordinates of its map. Page -1 is outside the tensor: the engine reads nothing and writes
/// zeros.
struct KeyBox {
  int token, page;
};

/// Box `lane` of the tile that begins with key `tile`.
template <int kKeys>
WARPLOOP_DEVICE KeyBox find_box(const KeySource& s, int box_tokens, int tile) {
  const int offset = lane_index() * box_tokens, token = tile + offset;
  if (offset >= kKeys) return {0, -1};
  // Behind the keys no row sees any: keys.first may lie behind keys.last, and both within one box.
  if (std::max(token, s.keys.first) >= std::min(token + box_tokens, s.keys.last)) return {0, -1};
  if (!s.p.page_table) return {s.item.pages + token, 0};
  const int page_size = static_cast<int>(s.p.k.sizes[1]), index = token / page_size;
  const int page = s.p.page_table.as<int32_t>()[s.item.pages * s.p.page_table.strides[0] + index];
  if (page >= 0 && page < s.p.k.sizes[0]) return {token - index * page_size, page};
  raise_fault(s.p.bad_page, page, s.p.k.sizes[0], token);
  return {0, -1};
}

/// Issues the boxes of a tile, one per lane, of its columns from `column` on. A whole warp.
template <int kKeys, int kWidth, class T>
WARPLOOP_DEVICE void load_boxes(T* to, const CUtensorMap* map, Mbarrier& full, const KeyBox& box, int head,
                                int box_tokens, int column = 0) {
  const int first = lane_index() * box_tokens;
  if (first == 0) mbarrier_expect_bytes(full, kKeys * kWidth * sizeof(T));
  sync_warp();
  if (first >= kKeys) return;
#pragma unroll
  for (int c = 0; c < kWidth / kPiece; c++) {
    tma_load<4>(to + (c * kKeys + first) * kPiece, map, full,
                {column + c * kPiece, head, box.token, box.page});
  }
}

/// Whether a box of the tile has rows that are seen and rows that are not.
template <int kKeys>
WARPLOOP_DEVICE bool is_cut(const ItemKeys& keys, int box_tokens, int tile) {
  return (keys.first > tile && keys.first % box_tokens != 0) ||
         (keys.last < tile + kKeys && keys.last % box_tokens != 0);
}

/// Zeros in the rows of a tile that are not in [begin, end): what lies there belongs to others and may be
/// NaN. A whole warp, after the tile has landed.
template <int kKeys, int kWidth, class T>
WARPLOOP_DEVICE void zero_rows(T* tile, int begin, int end) {
  auto* bytes = reinterpret_cast<unsigned char*>(tile);
  for (int at = lane_index(); at < kKeys * (kPieceBytes / 16); at += kWarpSize) {
    const int row = at / (kPieceBytes / 16);
    if (row >= begin && row < end) continue;
#pragma unroll
    for (int c = 0; c < kWidth / kPiece; c++)
      store_16(bytes + c * kKeys * kPieceBytes + at * 16, uint4{0, 0, 0, 0});
  }
}

/// The warps of the producer warpgroup, each with a loop over all items of the block.
template <class S>
class HopperProducer {
  using T = typename S::T;

 public:
  WARPLOOP_DEVICE HopperProducer(const AttentionProblem& p, const AttentionPlan& plan,
                                 const HopperCopies& copies, typename S::Shared& shared)
      : p_(p), plan_(plan), copies_(copies), shared_(shared) {}

  WARPLOOP_DEVICE void load_queries(const CUtensorMap* map) const {
    for (ItemReader items(shared_.items); items.next(); items.done()) {
      const AttentionItem& item = items.slot().item;
      const int head = items.slot().head;
      mbarrier_wait(shared_.q_empty, static_cast<uint32_t>(items.number() & 1) ^ 1u);
      if (!copies_.query_boxes) {
        copy_swizzled<S::kRows, S::kDh>(
            shared_.q, p_.q.template as<T>(), static_cast<int>(p_.q.sizes[2]), shared_.q_full, [&](int r) {
              return r < item.num_rows ? row_offset(p_.q, item, plan_.group, head, item.first_row + r) : -1;
            });
      } else if (elect_one()) {
        mbarrier_expect_bytes(shared_.q_full, sizeof(shared_.q));
        const int query = item.first_query + item.first_row / plan_.group,
                  of_group = item.first_row % plan_.group;
#pragma unroll
        for (int c = 0; c < S::kDh / kPiece; c++) {
          tma_load<4>(shared_.q + c * S::kRows * kPiece, map, shared_.q_full,
                      {c * kPiece, of_group, head, query});
        }
      }
      sync_warp();
    }
  }

  WARPLOOP_DEVICE void load_keys(const CUtensorMap* map) const {
    for_each_tile([&](const KeySource& source, int tile, const KeyBox& box, const HopperStage& stage) {
      T* to = shared_.k[stage.index];
      Mbarrier& full = shared_.k_full[stage.index];
      mbarrier_wait(shared_.k_empty[stage.index], stage.parity ^ 1u);
      if (copies_.box_tokens > 0) {
        load_boxes<S::kKeys, S::kDh>(to, map, full, box, source.head, copies_.box_tokens);
      } else {
        copy_swizzled<S::kKeys, S::kDh>(to, p_.k.template as<T>(), static_cast<int>(p_.k.sizes[3]), full,
                                        [&](int r) { return find_row(source, tile + r).key; });
      }
    });
  }

  /// Rows of values that no row of the item sees are zero: 0 times what lies there may be NaN.
  WARPLOOP_DEVICE void load_values(const CUtensorMap* map) const {
    uint32_t cut_parity = 0;  // of the tiles that were cut
    for_each_tile([&](const KeySource& source, int tile, const KeyBox& box, const HopperStage& stage) {
      const ItemKeys& keys = source.keys;
      T* to = shared_.v[stage.index];
      Mbarrier& full = shared_.v_full[stage.index];
      mbarrier_wait(shared_.v_empty[stage.index], stage.parity ^ 1u);
      if (copies_.box_tokens == 0) {
        copy_swizzled<S::kKeys, S::kDv>(to, p_.v.template as<T>(), static_cast<int>(p_.v.sizes[3]), full,
                                        [&](int r) { return find_row(source, tile + r).value; });
      } else if (!is_cut<S::kKeys>(keys, copies_.box_tokens, tile)) {
        load_boxes<S::kKeys, S::kDv>(to, map, full, box, source.head, copies_.box_tokens);
      } else {
        load_boxes<S::kKeys, S::kDv>(to, map, shared_.v_cut, box, source.head, copies_.box_tokens);
        mbarrier_wait(shared_.v_cut, cut_parity);
        cut_parity ^= 1u;
        zero_rows<S::kKeys, S::kDv>(to, keys.first - tile, keys.last - tile);
        fence_async_shared();
        sync_warp();
        if (lane_index() == 0) mbarrier_arrive(full);
      }
    });
  }

 private:
  /// Calls load(source, tile, box, stage) for the tiles of keys of all items, in their order. A box is looked
  /// up a tile ahead.
  template <class Load>
  WARPLOOP_DEVICE void for_each_tile(Load load) const {
    int n = 0;  // of the tile, of all items
    for (ItemReader items(shared_.items); items.next(); items.done()) {
      const auto& [item, keys, blocks, head, before] = items.slot();
      const KeySource source{p_, item, keys, head};
      int tile = first_tile<S::kKeys>(p_, keys, blocks);
      KeyBox box = box_of(source, tile);
      for (; tile < keys.last; n++) {
        const int following = next_tile<S::kKeys>(p_, keys, blocks, tile + S::kKeys);
        const KeyBox next = box_of(source, following);
        load(source, tile, box, stage_of(n));
        tile = following, box = next;
      }
    }
  }
  WARPLOOP_DEVICE KeyBox box_of(const KeySource& source, int tile) const {
    if (copies_.box_tokens == 0 || tile >= source.keys.last) return {0, -1};
    return find_box<S::kKeys>(source, copies_.box_tokens, tile);
  }

  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const HopperCopies& copies_;
  typename S::Shared& shared_;
};

}  // namespace warploop::cuda
