#include "ops/logprobs/logprobs.h"
#include "bind/arguments.h"

namespace warploop {

void bind_logprobs(Arguments& args) {
  LogprobsParams p{};
  p.logits = args.tensor();
  p.ids = args.tensor();
  p.chosen = args.tensor();
  p.top_ids = args.tensor();
  p.top_values = args.tensor();
  p.status = args.optional_tensor();
  args.submit<OpId::logprobs>(p);
}

}  // namespace warploop
