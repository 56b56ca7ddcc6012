// The automaton of the terminals of a grammar: a state is what is left of those that may stand at one place
// of a text. Built as far as texts lead into it.
#pragma once
#include "grammar/expressions.h"

namespace warploop::grammar {

/// Indices of terminals; states of their automaton.
using Terminal = int32_t;
using TerminalState = int32_t;

/// No terminal can go on.
inline constexpr TerminalState kDead = 0;

class Terminals {
 public:
  /// `terminals`: what each matches. Their classes are closed.
  Terminals(Expressions& expressions, std::vector<Expr> terminals, const Limits& limits);

  /// Where any of these may begin.
  TerminalState start(std::span<const Terminal> which);

  TerminalState next(TerminalState state, uint8_t byte) {
    const int byte_class = expressions_.class_of(byte);
    const TerminalState known = next_[static_cast<size_t>(state) * classes_ + byte_class];
    return known >= 0 ? known : compute_next(state, byte_class);
  }

  /// Terminals that end here, and, of those, that may also go on.
  std::span<const Terminal> ending(TerminalState state) const {
    const State& of = states_[state];
    return {ending_.data() + of.first_ending, static_cast<size_t>(of.num_ending)};
  }
  bool goes_on(TerminalState state) const { return states_[state].goes_on; }

  /// Whether all that `text` begins with can come next, within one of the terminals.
  bool covers(TerminalState state, Expr text);

 private:
  struct Part {
    Terminal terminal;
    Expr rest;
    friend bool operator==(const Part&, const Part&) = default;
  };
  struct State {
    int32_t first, count;  // of its parts
    int32_t first_ending, num_ending;
    bool goes_on;
  };

  TerminalState intern(const std::vector<Part>& parts);
  TerminalState compute_next(TerminalState state, int byte_class);

  Expressions& expressions_;
  std::vector<Expr> terminals_;
  Limits limits_;
  int classes_;
  std::vector<State> states_;
  std::vector<Part> parts_;
  std::vector<Terminal> ending_;
  std::vector<TerminalState> next_;  // [state][class], -1: not known yet
  std::unordered_multimap<uint64_t, TerminalState> by_hash_;
  std::unordered_map<uint64_t, bool> covered_;  // by state and text
};

}  // namespace warploop::grammar
