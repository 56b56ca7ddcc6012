// The sequences of attention as attention_plan, paged_attention and mla_attention hand them to the kernels.
// Params of all have page_table, rows, cu_seqlens_q, context_lens, query_offsets, window and max_queries.
#pragma once
#include "core/attention_plan.h"
#include "cuda/attention/attention.h"

namespace warploop::cuda {

/// All but q, k, v, out, scale and plan.
template <class Params>
AttentionProblem paged_problem(const Params& p, OpId op, const CudaContext& context) {
  AttentionProblem problem{};
  problem.num_sequences = static_cast<int32_t>(p.rows.size(0));
  problem.cu_seqlens_q = p.cu_seqlens_q.template as<int32_t>();
  problem.context_lens = p.context_lens.template as<int32_t>();
  problem.table_rows = p.rows.template as<int32_t>();
  problem.query_offsets = p.query_offsets.template as<int32_t>();
  problem.page_table = p.page_table;
  problem.window = p.window;
  problem.causal = true;
  problem.max_queries = p.max_queries;
  const auto site = [&](const char* text) { return context.fault_site(op, text); };
  problem.bad_queries = site("cuSeqlensQ[{index}..] is no range within [0, {limit}): {value}");
  problem.bad_count = site(kManyQueries);
  problem.bad_keys =
      site(p.query_offsets ? "contextLens[{index}] = {value} is negative or more than {limit}"
                           : "contextLens[{index}] = {value} is less than its queries or more than {limit}");
  problem.bad_offset = site(p.query_offsets ? kFarQueries : kLongContext);
  problem.bad_total = site("the sequences have {value} queries, q has {limit}");
  problem.bad_row = site("rows[{index}] = {value} is outside [0, {limit})");
  problem.bad_page = site("page {value} of token {index} is outside [0, {limit})");
  problem.bad_plan = site(kOtherPlan);
  problem.bad_item = site("plan: it has been written over: item {value} of {limit}");
  return problem;
}

}  // namespace warploop::cuda
