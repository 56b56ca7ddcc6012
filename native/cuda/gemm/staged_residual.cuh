// The residual of a tile of the sm_90 products, on its way through the ring of stages: behind the last k of a
// tile the producer loads it, 64 columns to a stage, while the consumers still multiply. So it is there when
// the sums are, and no registers wait for it.
//
// A box is kRows rows of 128 bytes in the swizzle of a stage: 64 columns of 16 bits, or 32 of f32, two boxes
// to a stage, in the places of x and of W.
#pragma once
#include "cuda/gemm/hopper_pipeline.cuh"
#include "cuda/gemm/product.h"
#include "cuda/gemm/tile_store.cuh"
#include "cuda/tensor_map.h"

namespace warploop::cuda {

/// A kernel's argument: whether the residual comes through the ring, and how.
struct StagedResidual {
  CUtensorMap map;
  bool staged;
};

/// The producer, one thread: columns [column, column + 64) of rows [row, row + kRows) to a stage.
WARPLOOP_DEVICE void load_residual(unsigned char* first, unsigned char* second, uint32_t box_bytes,
                                   DType dtype, const CUtensorMap* map, Mbarrier& full, int column, int row) {
  const bool wide = dtype == DType::f32;
  mbarrier_expect_bytes(full, wide ? 2 * box_bytes : box_bytes);
  tma_load<2>(first, map, full, {column, row});
  if (wide) tma_load<2>(second, map, full, {column + kStageRowBytes / 4, row});
}

template <class S>
WARPLOOP_DEVICE void add_staged_of(float (&v)[32], const unsigned char* first, const unsigned char* second,
                                   int row) {
  constexpr int kBoxColumns = kStageRowBytes / static_cast<int>(sizeof(S));
  const int lane = lane_index(), g = lane / 4, t = lane % 4;
#pragma unroll
  for (int n = 0; n < 16; n++) {
    const int column = n / 2 * 8 + t * 2, byte = column % kBoxColumns * static_cast<int>(sizeof(S));
    const unsigned char* box = n / 2 * 8 < kBoxColumns ? first : second;
    const unsigned char* from = box + (row + g + n % 2 * 8) * kStageRowBytes;  // row is a multiple of 8
    const float2 pair = load_pair(reinterpret_cast<const S*>(from + ((byte / 16 ^ g) * 16 + byte % 16)));
    v[2 * n] += pair.x;
    v[2 * n + 1] += pair.y;
  }
}
/// v += the residual in a stage, of the 16 rows from `row` of the tile on; v as in tile_store.cuh.
WARPLOOP_DEVICE void add_staged(float (&v)[32], const unsigned char* first, const unsigned char* second,
                                DType dtype, int row) {
  if (dtype == DType::f32) {
    add_staged_of<float>(v, first, second, row);
  } else if (dtype == DType::bf16) {
    add_staged_of<bf16>(v, first, second, row);
  } else {
    add_staged_of<f16>(v, first, second, row);
  }
}

/// A consumer warp gives back a stage that its lanes have read: unlike release_stage, in order behind that.
template <int kCluster, int kStages>
WARPLOOP_DEVICE void release_read_stage(StageRing<kStages>& ring, int stage) {
  const int lane = lane_index();
  sync_warp();
  if constexpr (kCluster == 1) {
    if (lane == 0) mbarrier_arrive(ring.empty[stage]);
  } else {
    if (lane < kCluster) mbarrier_arrive_cluster(ring.empty[stage], static_cast<uint32_t>(lane));
  }
}

/// The residual of `p` in boxes of `box_rows`; not staged if there is none, or the copy engine does not take
/// its rows. Host code.
inline StagedResidual staged_residual(const Product& p, int box_rows) {
  const Epilogue& e = p.epilogue;
  if (!e.residual || reinterpret_cast<uintptr_t>(e.residual) % 16 != 0) return {};
  const uint64_t bytes = bytes_of(e.residual_dtype, 1), columns = static_cast<uint64_t>(e.columns);
  const uint64_t sizes[2] = {columns, static_cast<uint64_t>(p.rows)};
  const uint64_t strides[1] = {p.rows > 1 ? static_cast<uint64_t>(e.residual_stride) * bytes
                                          : (columns * bytes + 15) / 16 * 16};  // of one row it means nothing
  const uint32_t box[2] = {static_cast<uint32_t>(kStageRowBytes / bytes), static_cast<uint32_t>(box_rows)};
  if (strides[0] % 16 != 0 || strides[0] < columns * bytes) return {};
  StagedResidual result{};
  result.staged =
      try_encode_tensor_map(result.map, e.residual_dtype, 2, e.residual, sizes, strides, box, Swizzle::b128);
  return result;
}

}  // namespace warploop::cuda
