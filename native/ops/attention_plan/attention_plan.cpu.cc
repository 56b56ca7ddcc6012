// What:      out = what the plan is made for (PlanSignature), then (first query, queries, keys, row of the
//            page table, position of the first query) of each sequence
// Steps:     1. verify each sequence and copy it   2. verify that together they have all queries
// Mapping:   one thread
// Cost:      some nanoseconds per sequence. Items are placed by whoever reads the plan (cpu/attention.cc):
//            how many there are, and who has ended, are matters of its threads
// Source:    the definition
#include "ops/attention_plan/attention_plan.h"

#include "core/error.h"
#include "cpu/paged_sequence.h"

namespace warploop::cpu::WARPLOOP_ISA {

void attention_plan(const AttentionPlanParams& p, CpuContext&) {
  const int64_t B = p.rows.size(0), capacity = p.page_table.size(1) * p.page_size;
  const int64_t needed = attention_plan_bytes(
      {0, p.num_queries, B, p.num_heads / p.num_kv_heads, p.num_kv_heads, capacity, p.max_queries});
  if (p.out.size(0) != needed) fail_execution("out: it has ", p.out.size(0), " bytes, not ", needed);
  auto& signature = *p.out.as<PlanSignature>();
  auto* planned = reinterpret_cast<PlannedRange*>(p.out.as<std::byte>() + kPlanHeaderBytes);
  signature = cpu_plan_signature(p, p.num_queries, capacity, p.num_heads, p.num_kv_heads, p.value_dim,
                                 p.latent > 0, static_cast<DType>(p.dtype), static_cast<DType>(p.kv_dtype));
  int64_t queries = 0;
  for (int64_t b = 0; b < B; b++) {
    planned[b] = read_paged_sequence(p, p.num_queries, capacity, b);
    queries += planned[b].num_queries;
  }
  if (queries != p.num_queries)
    fail_execution("the sequences have ", queries, " queries, numQueries is ", p.num_queries);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
