// What:      the results of tiles whose spans were computed by several blocks:
//            out = sum_k added_k O_k / sum_k added_k l_k, one span after another, in the arithmetic with
//            which a block would have done it (merge_states)
// Mapping:   blocks take rows (tile, head, row) in turn; a thread owns columns. The factors of all spans are
//            computed at once: a maximum over spans does not depend on an order
// Cost:      reads spans * (Dv + 2) floats per row, from L2; nothing to do ends at once
#pragma once
#include "cuda/attention/items.cuh"
#include "cuda/device/block.cuh"

namespace warploop::cuda {

inline constexpr int kMergeThreads = 128;

struct MergeShared {
  float max[kMaxSpans];  // of the spans up to and with this one
  float sum[kMaxSpans];
  float own[kMaxSpans];  // maximum of this span
  MergeFactors factors[kMaxSpans];
};

/// Fills the factors of `spans` spans; their rows lie `stride` floats apart from `rows`.
WARPLOOP_DEVICE void find_factors(const float* rows, int64_t stride, int spans, int width,
                                  MergeShared& shared) {
  const int tid = static_cast<int>(threadIdx.x);
  constexpr int kOwn = kMaxSpans / kMergeThreads;
  sync_block();  // the row before has been read
  for (int k = tid; k < spans; k += kMergeThreads) {
    shared.max[k] = shared.own[k] = rows[k * stride + width];
    shared.sum[k] = rows[k * stride + width + 1];
  }
  sync_block();
  for (int step = 1; step < spans; step *= 2) {
    float before[kOwn];
#pragma unroll
    for (int i = 0; i < kOwn; i++) {
      const int k = tid + i * kMergeThreads;
      before[i] = k < spans && k >= step ? shared.max[k - step] : -INFINITY;
    }
    sync_block();
#pragma unroll
    for (int i = 0; i < kOwn; i++) {
      const int k = tid + i * kMergeThreads;
      if (k < spans) shared.max[k] = fmaxf(before[i], shared.max[k]);
    }
    sync_block();
  }
  for (int k = tid; k < spans; k += kMergeThreads) {
    RowState total{k > 0 ? shared.max[k - 1] : -INFINITY, 0};
    shared.factors[k] = merge_states(total, {shared.own[k], shared.sum[k]});
  }
  sync_block();
}

WARPLOOP_DEVICE void merge_row(const AttentionProblem& p, const AttentionPlan& plan,
                               const AttentionItem& item, int head, int row, MergeShared& shared) {
  const int heads = static_cast<int>(p.k.sizes[2]), width = static_cast<int>(p.v.sizes[3]),
            spans = item.spans;
  const float* rows =
      plan.pool + (item.part + static_cast<int64_t>(head) * item.num_rows + row) * plan.part_stride;
  const int64_t stride = static_cast<int64_t>(heads) * item.num_rows * plan.part_stride;
  find_factors(rows, stride, spans, width, shared);

  RowState total{shared.max[spans - 1], 0};
  for (int k = 0; k < spans; k++) {
    total.sum = fmaf(shared.sum[k], shared.factors[k].added, total.sum * shared.factors[k].kept);
  }
  const float factor = reciprocal_sum(total);
  const int64_t at = row_offset(p.out, item, plan.group, head, item.first_row + row);
  for (int d = static_cast<int>(threadIdx.x); d < width; d += kMergeThreads) {
    float sum = 0;
#pragma unroll 8
    for (int k = 0; k < spans; k++) {
      sum = fmaf(rows[k * stride + d], shared.factors[k].added, sum * shared.factors[k].kept);
    }
    store_result(p.out, at + d, sum * factor);
  }
  if (threadIdx.x == 0 && p.lse) {
    p.lse.as<float>()[row_offset(p.lse, item, plan.group, head, item.first_row + row)] = log_sum(total);
  }
}

static __global__ void __launch_bounds__(kMergeThreads, 8)
    merge_attention(const __grid_constant__ AttentionProblem p, const __grid_constant__ AttentionPlan plan) {
  auto& shared = shared_plan<MergeShared>();
  const bool ours = is_plan_of(p, plan, false);  // if not, the kernel before has said so
  const int64_t heads = p.k.sizes[2];
  const auto rows_of = [&](int kind) {
    const int64_t tiles = plan.header->queues[kind].num_split;
    return ours ? std::min<int64_t>(tiles, plan.split_capacity[kind]) * heads * plan.tile_rows[kind] : 0;
  };
  const int64_t narrow = rows_of(0), all = narrow + rows_of(1);
  for (int64_t i = blockIdx.x; i < all; i += gridDim.x) {
    const int kind = i >= narrow, tile_rows = plan.tile_rows[kind];
    const int64_t local = kind ? i - narrow : i;
    const AttentionItem item = plan.split[kind][local / tile_rows / heads];
    const int row = static_cast<int>(local % tile_rows);
    const int64_t parts_end = item.part + heads * item.num_rows * item.spans;
    const bool usable = is_usable(p, plan, kind, item) && item.part >= 0 && parts_end <= plan.pool_rows;
    if (!usable && threadIdx.x == 0)
      raise_fault(p.bad_item, local / tile_rows / heads, plan.split_capacity[kind]);
    if (usable && row < item.num_rows)
      merge_row(p, plan, item, static_cast<int>(local / tile_rows % heads), row, shared);
  }
}

}  // namespace warploop::cuda
