// Attention on the GPU, host side: where plan, pool and counters lie, and the kernels that any call can run.
// The headers say how it works: plan.cuh, then narrow.cuh and wide.cuh (tensor cores: choose_tiles.cu) or
// any.cuh (the rest), which end with merge.cuh.
#include <algorithm>
#include <climits>

#include "cuda/attention/any.cuh"
#include "cuda/attention/kernels.h"
#include "cuda/attention/launch_tiles.cuh"
#include "cuda/attention/plan.cuh"
#include "cuda/workspace.h"

namespace warploop::cuda {

namespace {

constexpr const char* kTooMany = "too many queries for one call: split them";

int64_t group_of(const AttentionProblem& p) { return p.q.size(1) / p.k.size(2); }
/// Most keys that a range can have.
int64_t most_keys(const AttentionProblem& p) {
  if (p.indices) return p.indices.size(1);
  return p.page_table ? p.page_table.size(1) * p.k.size(1) : p.k.size(0);
}
/// Most queries of a range; 0: not known.
int64_t most_queries(const AttentionProblem& p) { return p.indices ? 1 : p.max_queries; }
int64_t most_spans(const AttentionProblem& p) { return warploop::most_spans(most_keys(p)); }
/// Tiles of a kind that there can be: what the host knows of the rows of sequences is their sum, and with
/// maxQueries how many one can have.
int64_t most_tiles(const AttentionProblem& p, const AttentionPlan& plan, int kind) {
  const int64_t rows = p.q.size(0) * group_of(p), most = plan.most_rows[kind],
                longest = most_rows(p.q.size(0), group_of(p), most_queries(p)),
                fewer =
                    kind > 0 ? plan.most_rows[kind - 1] : 0;  // those before this kind have at most so many
  if (most <= fewer || longest <= fewer || group_of(p) > most) return 0;  // none has less than a group
  if (num_ranges(p) == 1 && rows > most) return 0;
  const int64_t sequences = std::min<int64_t>(num_ranges(p), rows / (fewer + 1));
  return most <= plan.tile_rows[kind] ? sequences : rows / plan.tile_rows[kind] + sequences;
}
PlanSizes sizes_of(const AttentionProblem& p, const CudaContext& context) {
  return {context.num_sms, p.q.size(0),  num_ranges(p),  group_of(p),
          p.k.size(2),     most_keys(p), most_queries(p)};
}

/// Counters for split tiles, as far as there are some.
void place_arrivals(const AttentionProblem& p, const PlanLists& lists, const CudaContext& context,
                    AttentionPlan& plan) {
  constexpr int kOthers = static_cast<int>(AttentionCounter::count);
  // One for each group and one for the tile. With a window the first group may begin in front of the tile.
  const int64_t groups = (most_spans(p) + kGroupSpans - 1) / kGroupSpans + (p.window > 0);
  plan.most_groups = static_cast<int32_t>(groups);
  plan.tile_arrivals = static_cast<int32_t>(groups == 1 ? 1 : groups + 1);
  const int64_t per_tile = p.k.size(2) * plan.tile_arrivals;
  plan.arrivals = context.counters + kOthers;
  const int64_t tiles = (context.num_counters - kOthers) / per_tile;
  for (int kind = 0; kind < kKinds; kind++)
    plan.split_capacity[kind] = static_cast<int32_t>(std::min(lists.split[kind], tiles));
}

/// All of a call but where its plan lies. The pool takes what the workspace has left.
AttentionPlan describe(const AttentionProblem& p, const AttentionShape& shape, Workspace& workspace,
                       const CudaContext& context) {
  const auto count = [](AttentionCounter counter) { return static_cast<int>(counter); };
  if (context.num_counters < count(AttentionCounter::count))
    fail_execution("no more than ", context.num_counters, " counters");
  AttentionPlan plan{};
  plan.group = static_cast<int32_t>(group_of(p));
  if (p.q.size(0) * group_of(p) > INT_MAX) fail_execution(kTooMany);  // packed rows have 32-bit numbers
  plan.part_stride = static_cast<int32_t>(p.v.size(3) + 3) / 4 * 4 + 4;
  const PlanLists lists = plan_lists(sizes_of(p, context));
  for (int kind = 0; kind < kKinds; kind++) {
    plan.tile_rows[kind] = shape.tile_rows[kind];
    plan.most_rows[kind] = shape.most_rows[kind];
    plan.blocks[kind] = shape.blocks_per_sm[kind] * context.num_sms;
    if (lists.items[kind] > INT_MAX) fail_execution(kTooMany);
    plan.item_capacity[kind] = static_cast<int32_t>(lists.items[kind]);
    plan.totals_per_block[kind] = shape.totals_per_block[kind];
  }
  place_arrivals(p, lists, context, plan);
  plan.next = context.counters + count(AttentionCounter::next);
  plan.spoilt = context.counters + count(AttentionCounter::spoilt);

  int64_t totals = 0, group_totals = 0;  // one kind after another has them
  for (int kind = 0; kind < kKinds; kind++) {
    const unsigned blocks = kind == kNarrow ? mending_grid(p, plan) : attention_grid(p, plan, kind);
    const int64_t of_kind = blocks * plan.totals_per_block[kind];
    group_totals = std::max(group_totals, of_kind);
    if (kind != kNarrow || shape.keeps_narrow_spans) totals = std::max(totals, of_kind);
  }
  plan.totals = workspace.take<float4>(totals);
  if (plan.tile_arrivals > 1) plan.group_totals = workspace.take<float4>(group_totals);
  if (most_spans(p) > 1)
    plan.pool_rows = workspace.left() / (plan.part_stride * static_cast<int64_t>(sizeof(float)));
  plan.pool = workspace.take<float>(plan.pool_rows * plan.part_stride);
  plan.signature[PlanWord::kernel] = shape.kernel;
  plan.signature[PlanWord::queries] = p.q.size(0);
  plan.signature[PlanWord::sequences] = p.num_sequences;
  plan.signature[PlanWord::table_rows] = p.page_table ? p.page_table.size(0) : 0;
  plan.signature[PlanWord::capacity] = most_keys(p);
  plan.signature[PlanWord::group] = plan.group;
  plan.signature[PlanWord::heads] = p.k.size(2);
  plan.signature[PlanWord::window] = p.window;
  plan.signature[PlanWord::value_width] = p.v.size(3);
  plan.signature[PlanWord::pool_rows] = plan.pool_rows;
  plan.signature[PlanWord::offsets] = p.query_offsets != nullptr;
  plan.signature[PlanWord::max_queries] = p.max_queries;
  plan.signature[PlanWord::latent] = p.latent;
  return plan;
}

/// Header and lists in the memory of a plan.
PlanLayout layout_of(std::byte* memory, const AttentionPlan& plan) {
  auto* at = reinterpret_cast<AttentionItem*>(memory + kPlanHeaderBytes);
  PlanLayout to{};
  to.header = reinterpret_cast<AttentionPlanHeader*>(memory);
  for (int kind = 0; kind < kKinds; kind++) {
    to.items[kind] = at;
    at += plan.item_capacity[kind];
  }
  return to;
}

/// `problem`: of a plan of another size, in words.
std::byte* given_plan(const AttentionProblem& p, const CudaContext& context, const char* problem) {
  const int64_t needed = attention_plan_bytes(sizes_of(p, context));
  if (p.plan.size(0) != needed) fail_execution(problem, ": it has ", p.plan.size(0), " bytes, not ", needed);
  return p.plan.as<std::byte>();
}

void make_plan(const AttentionProblem& p, const AttentionPlan& plan, const PlanLayout& to,
               const CudaContext& context) {
  launch<plan_attention>(context, {dim3(1), kPlanThreads, sizeof(PlanShared)}, p, plan, to);
}

void point_to(const PlanLayout& from, AttentionPlan& plan) {
  plan.header = from.header;
  for (int kind = 0; kind < kKinds; kind++) plan.items[kind] = from.items[kind];
}

}  // namespace

AttentionPlan start_plan(const AttentionProblem& p, const AttentionShape& shape, CudaContext& context) {
  Workspace workspace(context, kTooMany);
  if (p.plan) {
    AttentionPlan plan = describe(p, shape, workspace, context);
    point_to(layout_of(given_plan(p, context, "plan: made for another call"), plan), plan);
    return plan;
  }
  auto* order = workspace.take<int32_t>(num_ranges(p));
  auto* memory = workspace.take<std::byte>(attention_plan_bytes(sizes_of(p, context)));
  AttentionPlan plan = describe(p, shape, workspace, context);
  PlanLayout to = layout_of(memory, plan);
  to.order = order;
  make_plan(p, plan, to, context);
  point_to(to, plan);
  return plan;
}

void fill_plan(const AttentionProblem& p, const AttentionShape& shape, CudaContext& context) {
  Workspace workspace(context, kTooMany);  // as the calls will have it
  const AttentionPlan plan = describe(p, shape, workspace, context);
  PlanLayout to = layout_of(given_plan(p, context, "out"), plan);
  to.order = Workspace(context, kTooMany).take<int32_t>(p.num_sequences);
  make_plan(p, plan, to, context);
}

unsigned attention_grid(const AttentionProblem& p, const AttentionPlan& plan, int kind) {
  const int64_t items = most_tiles(p, plan, kind) * most_spans(p) * p.k.size(2);
  return static_cast<unsigned>(std::min<int64_t>(items, plan.blocks[kind]));
}

unsigned mending_grid(const AttentionProblem& p, const AttentionPlan& plan) {
  unsigned blocks = 0;
  for (int kind = 0; kind < kKinds; kind++) blocks = std::max(blocks, attention_grid(p, plan, kind));
  return blocks;
}

namespace {

constexpr AttentionShape kAnyShape{
    .kernel = 0,
    .tile_rows = {kNarrowRows, kNarrowRows, kNarrowRows},
    .most_rows = {INT_MAX, INT_MAX, INT_MAX},
    .blocks_per_sm = {2, 1, 1},
    .totals_per_block = {AnyTile::kTotalsPerBlock, 0, 0},
};

}  // namespace

void attention_any(const AttentionProblem& p, CudaContext& context) {
  const AttentionPlan plan = start_plan(p, kAnyShape, context);
  launch<attention_any_kernel>(
      context, {dim3(attention_grid(p, plan, kNarrow)), kAnyThreads, sizeof(AnyShared)}, p, plan);
}

void plan_attention_any(const AttentionProblem& p, CudaContext& context) { fill_plan(p, kAnyShape, context); }

}  // namespace warploop::cuda
