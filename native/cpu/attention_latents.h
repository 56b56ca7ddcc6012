// Latents that are kept as codes (core/kv_codes.h), the rotated part of their keys beside them: a tile
// becomes rows of floats in the thread's workspace before it is multiplied. All query heads share it, so that
// costs one operation per element where products cost two per element and head; scales of groups, which would
// cut each product into pieces, are then no matter of the kernels.
//
// Numerics: code times scale in f32; on AVX512-BF16 with queries and rotated keys of bf16 rounded to bf16.
#pragma once
#include "cpu/attention_rows.h"
#include "cpu/head_rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

template <class C, class T>
void decode_row(const C* codes, const float* scales, int64_t width, T* to) {
  for (int64_t first = 0; first < width; first += kLatentGroup) {
    const float scale = scales[first / kLatentGroup];
    const int64_t end = std::min(first + kLatentGroup, width);
    for (int64_t d = first; d < end; d += kLanes) store(to + d, load(codes + d) * scale);
  }
}

/// find_rows() of latents as codes; `decoded`, [kTileKeys][q's width], is where the rows then lie.
template <class T>
void decode_latents(const AttentionProblem& p, const AttentionSequence& s, int64_t tile, int64_t first,
                    int64_t last, T* decoded, TileRows<T>& rows) {
  const int64_t width = p.q.size(2), rank = p.v.size(3);
  const auto decode = [&]<class C>(C) {
    dispatch_float(p.rotated.dtype, [&]<class X>(X) {
      for_tile_keys(p, s, tile, first, last, [&](int64_t j, int64_t page, int64_t at) {
        const auto place = [&](const TensorView& t) { return page * t.stride(0) + at * t.stride(1); };
        T* row = decoded + j * width;
        decode_row(p.k.as<C>() + place(p.k), p.k_scales.as<float>() + place(p.k_scales), rank, row);
        convert_row(p.rotated.as<X>() + place(p.rotated), row + rank, width - rank);
        rows.keys[j] = rows.values[j] = row;
      });
    });
  };
  p.k.dtype == DType::i8 ? decode(int8_t{}) : decode(fp8e4m3_t{});
  repeat_rows(tile, first, last, rows);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
