// Which of its kernels attention takes, and whose plans.
#include "core/attention_plan.h"
#include "cuda/attention/kernels.h"
#include "cuda/choose.h"

namespace warploop::cuda {

namespace {

constexpr Candidate<AttentionProblem> kKernels[] = {
    {.name = "hopper", .hopper = true, .refuse = refuse_attention_hopper, .run = attention_hopper},
    {.name = "tiles", .refuse = refuse_attention_tiles, .run = attention_tiles},
    {.name = "latents", .refuse = refuse_attention_latents, .run = attention_latents},
    {.name = "any", .run = attention_any},
};
const KnownKernels kKnown({OpId::flash_attention, OpId::paged_attention, OpId::mla_attention}, kKernels);
constexpr Candidate<AttentionProblem> kPlans[] = {
    {.name = "hopper", .hopper = true, .refuse = refuse_attention_hopper, .run = plan_attention_hopper},
    {.name = "tiles", .refuse = refuse_attention_tiles, .run = plan_attention_tiles},
    {.name = "latents", .refuse = refuse_attention_latents, .run = plan_attention_latents},
    {.name = "any", .run = plan_attention_any},
};

}  // namespace

void run_attention(OpId op, const AttentionProblem& p, CudaContext& context) {
  const Candidate<AttentionProblem>& kernel = choose(op, kKernels, p, context);
  const auto is_unaligned = [](const char* reason) {
    return reason == kUnalignedKeys || reason == kUnalignedPairs;
  };
  const bool expects_aligned_rows = is_unaligned(refuse_attention_tiles(p, context)) ||
                                    is_unaligned(refuse_attention_latents(p, context)) ||
                                    is_unaligned(refuse_attention_hopper(p, context));
  if (!p.plan || !expects_aligned_rows) return kernel.run(p, context);
  AttentionProblem unaligned = p;
  unaligned.bad_plan = context.fault_site(op, kUnalignedPlan);
  kernel.run(unaligned, context);
}
void make_attention_plan(OpId op, const AttentionProblem& p, CudaContext& context) {
  choose(op, kPlans, p, context).run(p, context);
}

}  // namespace warploop::cuda
