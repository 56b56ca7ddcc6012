// Which of its kernels attention takes, and whose plans.
#include "cuda/attention/kernels.h"
#include "cuda/choose.h"

namespace warploop::cuda {

namespace {

constexpr Candidate<AttentionProblem> kKernels[] = {
    {.name = "hopper", .hopper = true, .refuse = refuse_attention_hopper, .run = attention_hopper},
    {.name = "tiles", .refuse = refuse_attention_tiles, .run = attention_tiles},
    {.name = "any", .run = attention_any},
};
constexpr Candidate<AttentionProblem> kPlans[] = {
    {.name = "hopper", .hopper = true, .refuse = refuse_attention_hopper, .run = plan_attention_hopper},
    {.name = "tiles", .refuse = refuse_attention_tiles, .run = plan_attention_tiles},
    {.name = "any", .run = plan_attention_any},
};

}  // namespace

void run_attention(OpId op, const AttentionProblem& p, CudaContext& context) {
  choose(op, kKernels, p, context).run(p, context);
}
void make_attention_plan(OpId op, const AttentionProblem& p, CudaContext& context) {
  choose(op, kPlans, p, context).run(p, context);
}

}  // namespace warploop::cuda
