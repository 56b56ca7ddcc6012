// What a kernel that reads every logit of a row says about the row. lib/ops/rowStatus.ts has the same
// numbers.
#pragma once
#include <cstdint>

namespace warploop {

enum class RowStatus : int32_t {
  ok = 0,
  not_finite = 1,  // a logit is NaN or +inf; -inf is the logit of a token that cannot come, and legal
  no_choice = 2,   // every logit is -inf: of the model, or because every token is banned
};

}  // namespace warploop
