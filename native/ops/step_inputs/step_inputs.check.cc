#include "ops/step_inputs/step_inputs.h"

namespace warploop {

void check(const StepInputsParams& p, Check& c) {
  Sym B{"B"}, N{"N"}, R{"R"}, L{"L"}, G{"G"}, W{"W"}, T{"T"};
  c.tensor("rows", p.rows).dtype(kI32).shape({B}).packed();
  c.tensor("starts", p.starts).dtype(kI32).shape({B}).packed();
  c.tensor("cuSeqlensQ", p.cu_seqlens_q).dtype(kI32).shape({B.value() + 1}).packed();
  c.tensor("logitIndices", p.logit_indices).dtype(kI32).shape({N}).packed();
  c.tensor("tokenPool", p.token_pool).dtype(kI32).shape({R, L}).rows();
  c.that(R.value() >= 1, "tokenPool", "at least one row, the last of which is padding's", R.value());
  c.tensor("lengths", p.lengths).dtype(kI32).shape({R}).packed();
  c.tensor("pageTables", p.page_tables).dtype(kI32).shape({G, R, W}).rows();
  c.tensor("groups", p.groups).dtype(kI32).shape({G, static_cast<int64_t>(StepGroup::count)}).packed();
  c.tensor("tokens", p.tokens).dtype(kI32).shape({T}).packed();
  c.tensor("positions", p.positions).dtype(kI32).shape({T}).packed();
  c.tensor("slots", p.slots).dtype(kI32).shape({G, T}).packed();
  c.tensor("contextLens", p.context_lens).dtype(kI32).shape({B}).packed();
  c.tensor("samplePositions", p.sample_positions).dtype(kI32).shape({N}).packed();
}

}  // namespace warploop
