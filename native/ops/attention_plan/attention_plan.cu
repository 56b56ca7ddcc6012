// What:      out = the plan of paged attention (cuda/attention/items.cuh): what it is made for, and the
//            items that the kernels of pagedAttention work off, of whichever of its kernels these heads and
//            dtypes get; with `latent` that of mlaAttention
// Steps:     verify the sequences, sort them by length, write the items: cuda/attention/plan.cuh
// Mapping:   one block
// Cost:      a few microseconds, once per step instead of once per layer
// Numerics:  the items do not change a bit of what is computed with them
// Limits:    a plan fits the calls of its stream that its signature names; rows of q and of the pages are
//            aligned to 16 bytes, or pagedAttention takes another kernel and refuses the plan
// Source:    Dao et al., Flash-Decoding, crfm.stanford.edu/2023/10/12/flashdecoding.html
#include "ops/attention_plan/attention_plan.h"

#include "cuda/attention/paged.h"

namespace warploop::cuda {

namespace {

/// A tensor that is known by its sizes alone.
TensorView sizes_only(int32_t dtype, int rank, int64_t a, int64_t b, int64_t c, int64_t d = 1) {
  return {nullptr, {a, b, c, d}, {}, static_cast<DType>(dtype), static_cast<uint8_t>(rank)};
}

AttentionProblem problem_of(const AttentionPlanParams& p, const CudaContext& context) {
  AttentionProblem problem = paged_problem(p, OpId::attention_plan, context);
  problem.q = sizes_only(p.dtype, 3, p.num_queries, p.num_heads, p.head_dim);
  problem.k = sizes_only(p.kv_dtype, 4, 0, p.page_size, p.num_kv_heads, p.head_dim);
  problem.v = sizes_only(p.kv_dtype, 4, 0, p.page_size, p.num_kv_heads, p.value_dim);
  problem.out = sizes_only(p.dtype, 3, p.num_queries, p.num_heads, p.value_dim);
  problem.latent = p.latent > 0;
  problem.plan = p.out;
  problem.bad_total =
      context.fault_site(OpId::attention_plan, "the sequences have {value} queries, numQueries is {limit}");
  return problem;
}

}  // namespace

void attention_plan(const AttentionPlanParams& p, CudaContext& context) {
  make_attention_plan(p.latent > 0 ? OpId::mla_attention : OpId::paged_attention, problem_of(p, context),
                      context);
}

}  // namespace warploop::cuda
