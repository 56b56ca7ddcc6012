// Grammars as lib/grammar writes them: arrays of numbers.
//
//   program    nodes, one after another; node i + 3 is the i-th, 0 to 2 are nothing, empty and anything:
//              bytes w0 ... w7 | text n b1 ... bn | concat n ids | either n ids | both n ids |
//              complement id | repeat id min max (-1: without an end)
//   terminals  nodes
//   rules      left side, n, n symbols; ...
#pragma once
#include "grammar/grammar.h"

namespace warploop::grammar {

struct Program {
  std::span<const int32_t> nodes, terminals, rules;
  int32_t start;
};

/// Throws Error(range) for what is none, and what is too complex.
std::shared_ptr<Grammar> read_grammar(const Program& program, const Limits& limits);

}  // namespace warploop::grammar
