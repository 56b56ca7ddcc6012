// Host side of the Hopper kernel: how its tiles come into shared memory, and its launch.
#pragma once
#include "cuda/attention/hopper.cuh"
#include "cuda/attention/launch_tiles.cuh"
#include "cuda/tensor_map.h"

namespace warploop::cuda {

/// A tensor of 16-bit elements as the copy engine sees it, the innermost dimension first, and the box that is
/// copied at a time.
struct BoxedTensor {
  const TensorView& t;
  uint64_t sizes[4];
  int64_t strides[3];  // elements
  uint32_t box[4];

  template <class Encode>
  auto encode_with(const Encode& encode) const {
    uint64_t bytes[3];
    for (int i = 0; i < 3; i++)  // of one row it means nothing
      bytes[i] = static_cast<uint64_t>(2 * (sizes[i + 1] > 1 ? strides[i] : static_cast<int64_t>(sizes[0])));
    return encode(t.dtype, 4, t.data, sizes, bytes, box, Swizzle::b128);
  }
  bool has_map() const { return encode_with(can_encode_tensor_map); }
  CUtensorMap map() const { return encode_with(encode_tensor_map); }
};

/// Keys in pages, or one behind another, as if they were one page: [D, Hkv, Ps, P].
inline BoxedTensor boxed_keys(const AttentionProblem& p, const TensorView& t, int box_tokens) {
  const auto D = static_cast<uint64_t>(t.size(3)), heads = static_cast<uint64_t>(t.size(2)),
             page_size = static_cast<uint64_t>(t.size(1)), pages = static_cast<uint64_t>(t.size(0));
  const auto tokens = static_cast<uint32_t>(box_tokens);
  if (!p.page_table) return {t, {D, heads, pages, 1}, {t.stride(2), t.stride(0), 0}, {kPiece, 1, tokens, 1}};
  return {t, {D, heads, page_size, pages}, {t.stride(2), t.stride(1), t.stride(0)}, {kPiece, 1, tokens, 1}};
}

/// Packed rows: [Dh, G, Hkv, T], in boxes of `rows` that a whole number of groups fills, or that fill a
/// group.
inline BoxedTensor boxed_queries(const AttentionProblem& p, int group, int rows) {
  const TensorView& q = p.q;
  const int heads = std::min(group, rows);
  return {q,
          {static_cast<uint64_t>(q.size(2)), static_cast<uint64_t>(group), static_cast<uint64_t>(p.k.size(2)),
           static_cast<uint64_t>(q.size(0))},
          {q.stride(1), group * q.stride(1), q.stride(0)},
          {kPiece, static_cast<uint32_t>(heads), 1, static_cast<uint32_t>(rows / heads)}};
}

/// Tokens of a box of which a whole number fills a tile of `keys`; 0: there is none.
inline int box_tokens_of(const AttentionProblem& p, int keys) {
  if (!p.page_table) return keys;
  const int64_t page_size = p.k.size(1);
  if (page_size % keys == 0) return keys;
  return page_size % 8 == 0 && keys % page_size == 0 ? static_cast<int>(page_size) : 0;
}

/// Of q, where the rows of a tile are one box of it; `copies` then says so.
inline CUtensorMap map_of_queries(const AttentionProblem& p, int group, int rows, HopperCopies& copies) {
  if (rows % group != 0 && group % rows != 0) return {};
  const BoxedTensor q = boxed_queries(p, group, rows);
  copies.query_boxes = q.has_map();
  return copies.query_boxes ? q.map() : CUtensorMap{};
}

template <class S>
void run_hopper(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context) {
  const unsigned blocks = attention_grid(p, plan, S::kKind);
  if (blocks == 0) return;
  HopperCopies copies{box_tokens_of(p, S::kKeys), false};
  CUtensorMap k_map{}, v_map{};
  const CUtensorMap q_map = map_of_queries(p, plan.group, S::kRows, copies);
  if (copies.box_tokens > 0) {
    const BoxedTensor k = boxed_keys(p, p.k, copies.box_tokens), v = boxed_keys(p, p.v, copies.box_tokens);
    if (!k.has_map() || !v.has_map()) copies.box_tokens = 0;
    if (copies.box_tokens > 0) k_map = k.map(), v_map = v.map();
  }
  const LaunchShape shape{.grid = dim3(blocks),
                          .threads = S::kThreads,
                          .shared_bytes = sizeof(typename S::Shared),
                          .blocks = S::kBlocks};
  launch<attention_hopper<S>>(context, shape, p, plan, copies, q_map, k_map, v_map);
}

template <class S>
void set_hopper_tiles(AttentionTiles& tiles, AttentionTiles::Run run) {
  static_assert(S::kBlocks <= kPlanBlocks[S::kKind] && S::kRows >= kPlanTileRows[S::kKind]);
  tiles.shape.tile_rows[S::kKind] = S::kRows;
  tiles.shape.blocks_per_sm[S::kKind] = S::kBlocks;
  tiles.shape.totals_per_block[S::kKind] = S::kTotalsPerBlock;
  tiles.run[S::kKind] = run;
}

template <class Middle, class Wide>
AttentionTiles make_hopper_tiles(const AttentionTiles& portable) {
  static_assert(Middle::kKind == kMiddle && Wide::kKind == kWide);
  AttentionTiles tiles = portable;
  tiles.shape.kernel++;
  tiles.shape.most_rows[kMiddle] = Middle::kRows;
  set_hopper_tiles<Middle>(tiles, run_hopper<Middle>);
  set_hopper_tiles<Wide>(tiles, run_hopper<Wide>);
  return tiles;
}

}  // namespace warploop::cuda
