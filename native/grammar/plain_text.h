// Text that stands in a string of JSON as it is, in UTF-8: most tokens of a vocabulary are such text. Those
// of few characters come first, since a string whose length is bounded takes only these as long as it may.
#pragma once
#include "grammar/expressions.h"

namespace warploop::grammar {

/// Of at most 10 characters, of at most 30, and of any number.
std::vector<Expr> plain_texts(Expressions& to);

}  // namespace warploop::grammar
