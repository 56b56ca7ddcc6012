// Which tokens the lightning indexer of DeepSeek V3.2 chooses for each query: those with the largest scores.
#pragma once
#include "core/check.h"
#include "core/fields.h"
#include "core/tensor_view.h"

namespace warploop {

// For the kernels' fixed buffers.
inline constexpr int64_t kMaxIndexHeads = 128, kMaxIndexWidth = 256, kMaxTopK = 4096;

struct IndexerTopKParams {
  TensorView q;  // [T, Hi, Di], f32 | bf16 | f16, rows strided; Hi is 1 to 128, Di a multiple of 16 up to 256
  TensorView weights;       // [T, Hi], f32, rows strided
  TensorView key_pages;     // [P, Ps, Di], f32 | bf16 | f16, rows strided
  TensorView page_table;    // [R, Pmax], i32, rows strided: pages of each request slot
  TensorView rows;          // [B], i32: request slot of each sequence
  TensorView cu_seqlens_q;  // [B + 1], i32: first query of each sequence, then T
  TensorView context_lens;  // [B], i32: keys of each sequence; its queries are the last of them
  TensorView out;           // [T, topK], i32, rows strided
  int32_t top_k;            // 1 to 4096
  float scale;              // of the products

  // What others that read sequences in pages have, and this has not.
  static constexpr TensorView query_offsets{};
  static constexpr int32_t window = 0, max_queries = 0;
};

/// As TypeScript passes them.
inline auto fields(IndexerTopKParams& p) {
  return in_order(p.q, p.weights, p.key_pages, p.page_table, p.rows, p.cu_seqlens_q, p.context_lens, p.out,
                  p.top_k, p.scale);
}

void check(const IndexerTopKParams& p, Check& c);

}  // namespace warploop
