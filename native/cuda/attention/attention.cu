// Attention on the GPU, host side: where the plan lies in the workspace, and the kernels that any call can
// run. The kernels' headers say how they work: plan.cuh, then narrow.cuh and wide.cuh (tensor cores:
// choose_tiles.cu) or any.cuh (the rest), then merge.cuh.
#include <algorithm>
#include <climits>

#include "core/error.h"
#include "cuda/attention/any.cuh"
#include "cuda/attention/launch_tiles.cuh"
#include "cuda/attention/merge.cuh"
#include "cuda/attention/plan.cuh"

namespace warploop::cuda {

namespace {

int64_t group_of(const AttentionProblem& p) { return p.q.size(1) / p.k.size(2); }
/// Most keys that a sequence can have.
int64_t most_keys(const AttentionProblem& p) {
  return p.page_table ? p.page_table.size(1) * p.k.size(1) : p.k.size(0);
}
int64_t most_spans(const AttentionProblem& p) {
  return std::clamp<int64_t>((most_keys(p) + kSmallestSpan - 1) / kSmallestSpan, 1, kMaxSpans);
}
int64_t most_tiles(const AttentionProblem& p, const AttentionPlan& plan, int kind) {
  const int64_t rows = p.q.size(0) * group_of(p);
  if (kind == 1 && rows <= plan.narrow_rows) return 0;
  // One sequence has all queries, so its rows are known; of several we only know the sum.
  if (kind == 0 && p.num_sequences == 1 && rows > plan.narrow_rows) return 0;
  if (kind == 0 && plan.narrow_rows == kNarrowRows) return p.num_sequences;
  return rows / plan.tile_rows[kind] + p.num_sequences;
}

/// Hands out pieces of the workspace.
class Pieces {
 public:
  explicit Pieces(const CudaContext& context)
      : at_(context.workspace), end_(context.workspace + context.workspace_bytes) {}

  template <class T>
  T* take(int64_t count) {
    const int64_t bytes = (count * static_cast<int64_t>(sizeof(T)) + 255) / 256 * 256;
    if (bytes > end_ - at_) fail_execution("too many queries for one call: split them");
    T* piece = reinterpret_cast<T*>(at_);
    at_ += bytes;
    return piece;
  }
  int64_t left() const { return end_ - at_; }

 private:
  std::byte *at_, *end_;
};

}  // namespace

AttentionPlan start_plan(const AttentionProblem& p, const AttentionShape& shape, CudaContext& context) {
  AttentionPlan plan{};
  plan.group = static_cast<int32_t>(group_of(p));
  plan.narrow_rows = shape.narrow_rows;
  plan.part_stride = static_cast<int32_t>(p.v.size(3)) + 4;
  plan.totals_per_block = shape.totals_per_block;
  for (int kind = 0; kind < 2; kind++) {
    plan.tile_rows[kind] = shape.tile_rows[kind];
    plan.blocks[kind] = shape.blocks_per_sm[kind] * context.num_sms;
  }

  Pieces pieces(context);
  plan.queues = pieces.take<AttentionQueue>(2);
  plan.order = pieces.take<int32_t>(p.num_sequences);
  plan.totals = pieces.take<float4>(attention_grid(p, plan, 1) * plan.totals_per_block);
  const int64_t tiles[2] = {most_tiles(p, plan, 0), most_tiles(p, plan, 1)};
  // The rest is the pool and the items of split tiles: each has at least a row of the pool (a wide one: 16)
  // per head.
  const int64_t reserved = (tiles[0] + tiles[1]) * static_cast<int64_t>(sizeof(AttentionItem)) + 8 * 256;
  const int64_t bytes_per_row = plan.part_stride * 4 + 2 * sizeof(AttentionItem) + sizeof(AttentionItem) / 4;
  if (most_spans(p) > 1) plan.pool_rows = std::max<int64_t>(pieces.left() - reserved, 0) / bytes_per_row;
  const int64_t split[2] = {plan.pool_rows / p.k.size(2), plan.pool_rows / p.k.size(2) / kNarrowRows};
  for (int kind = 0; kind < 2; kind++) {
    plan.item_capacity[kind] = static_cast<int32_t>(tiles[kind] + split[kind]);
    plan.items[kind] = pieces.take<AttentionItem>(plan.item_capacity[kind]);
    plan.split[kind] = pieces.take<AttentionItem>(split[kind]);
  }
  plan.pool = pieces.take<float>(plan.pool_rows * plan.part_stride);
  launch<plan_attention>(context, {dim3(1), kPlanThreads, sizeof(PlanShared)}, p, plan);
  return plan;
}

unsigned attention_grid(const AttentionProblem& p, const AttentionPlan& plan, int kind) {
  const int64_t items = most_tiles(p, plan, kind) * most_spans(p) * p.k.size(2);
  return p.q.size(0) == 0 ? 0 : static_cast<unsigned>(std::min<int64_t>(items, plan.blocks[kind]));
}

void finish_plan(const AttentionProblem& p, const AttentionPlan& plan, CudaContext& context) {
  if (most_spans(p) == 1) return;
  const int64_t rows = p.q.size(0) * p.q.size(1);
  const auto grid = static_cast<unsigned>(std::min<int64_t>(rows, 16 * context.num_sms));
  launch<merge_attention>(context, {dim3(grid), kMergeThreads, sizeof(MergeShared)}, p, plan);
}

void attention_any(const AttentionProblem& p, CudaContext& context) {
  const AttentionPlan plan = start_plan(p, {{kNarrowRows, kNarrowRows}, {2, 1}, INT_MAX, 0}, context);
  launch<attention_any_kernel>(context, {dim3(attention_grid(p, plan, 0)), kAnyThreads, sizeof(AnyShared)}, p,
                               plan);
  finish_plan(p, plan, context);
}

}  // namespace warploop::cuda
