// A context-free grammar over terminals, which are regular expressions over bytes.
#pragma once
#include <memory>
#include <mutex>

#include "grammar/terminals.h"

namespace warploop::grammar {

/// What a rule consists of: a nonterminal (0 and more), a terminal (below 0), or its end.
using Symbol = int32_t;

constexpr Symbol symbol_of(Terminal terminal) { return -1 - terminal; }
constexpr bool is_terminal(Symbol symbol) { return symbol < 0; }
constexpr Terminal terminal_of(Symbol symbol) { return -1 - symbol; }

/// A rule: its left side, and what it becomes.
struct Rule {
  int32_t left;
  std::vector<Symbol> right;
};

/// Its automata grow as texts lead into them, by matchers on several threads: `mutex` is held meanwhile.
class Grammar {
 public:
  /// Takes over `expressions`, whose classes it closes. `plain`: see grammar/plain_text.h. Rules that derive
  /// no text are left out. Throws Error(range) if the start derives none.
  Grammar(std::unique_ptr<Expressions> expressions, std::vector<Expr> terminals,
          const std::vector<Rule>& rules, int32_t start, std::vector<Expr> plain, const Limits& limits);

  std::mutex& mutex() { return mutex_; }
  Terminals& terminals() { return *terminals_; }
  Fuel& fuel() { return expressions_->fuel(); }
  const std::vector<Expr>& plain() const { return plain_; }
  const Limits& limits() const { return limits_; }
  int32_t start() const { return start_; }
  /// Whether anything may stand behind it.
  bool is_followed(Terminal terminal) const { return followed_[terminal] != 0; }
  /// Whether it is a single terminal.
  bool is_regular() const { return is_regular_; }
  /// What matchers of such a grammar share: masks of states of the terminal, for one vocabulary.
  struct Masks {
    std::shared_ptr<const void> vocabulary;
    std::unordered_map<TerminalState, std::vector<uint32_t>> by_state;
  };
  Masks& masks() { return masks_; }
  int32_t num_nonterminals() const { return static_cast<int32_t>(first_rules_.size()) - 1; }

  /// A place in a rule: in front of a symbol, or at the end.
  bool is_end(int32_t place) const { return left_of_[place] >= 0; }
  /// What the rule that ends at `place` derives.
  int32_t left_of(int32_t place) const { return left_of_[place]; }
  Symbol symbol_at(int32_t place) const { return symbols_[place]; }
  /// Whether what stands at `place` may be empty.
  bool may_be_empty(Symbol symbol) const {
    return is_terminal(symbol) ? empty_terminals_[terminal_of(symbol)] : empty_nonterminals_[symbol];
  }
  /// Where the rules of a nonterminal begin.
  std::span<const int32_t> rules_of(int32_t nonterminal) const {
    return std::span(starts_).subspan(first_rules_[nonterminal],
                                      first_rules_[nonterminal + 1] - first_rules_[nonterminal]);
  }

 private:
  void find_followed();

  std::mutex mutex_;
  std::unique_ptr<Expressions> expressions_;
  std::unique_ptr<Terminals> terminals_;
  std::vector<Expr> plain_;
  Limits limits_;
  int32_t start_;
  bool is_regular_;
  Masks masks_;
  std::vector<Symbol> symbols_;   // of all rules, with one more for the end of each
  std::vector<int32_t> left_of_;  // by place; -1: no end
  std::vector<int32_t> starts_, first_rules_;
  std::vector<uint8_t> empty_terminals_, empty_nonterminals_, followed_;
};

}  // namespace warploop::grammar
