#include "ops/step_inputs/step_inputs.h"

#include "bind/arguments.h"

namespace warploop {

void bind_step_inputs(Arguments& args) {
  StepInputsParams p{};
  p.rows = args.tensor();
  p.starts = args.tensor();
  p.cu_seqlens_q = args.tensor();
  p.logit_indices = args.tensor();
  p.lengths = args.tensor();
  p.token_pool = args.tensor();
  p.page_tables = args.tensor();
  p.groups = args.tensor();
  p.tokens = args.tensor();
  p.positions = args.tensor();
  p.slots = args.tensor();
  p.context_lens = args.tensor();
  p.sample_positions = args.tensor();
  args.submit<OpId::step_inputs>(p);
}

}  // namespace warploop
