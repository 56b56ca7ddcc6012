#include "grammar/grammar.h"

#include <algorithm>

namespace warploop::grammar {

namespace {

/// Nonterminals with a rule all of whose symbols are good; what is good grows until nothing changes.
template <class TerminalIsGood>
std::vector<uint8_t> closure(const std::vector<Rule>& rules, int32_t nonterminals,
                             const TerminalIsGood& good) {
  std::vector<uint8_t> result(static_cast<size_t>(nonterminals));
  // Rules by the nonterminals that they wait for, and how many these are.
  std::vector<std::vector<int32_t>> waiting(static_cast<size_t>(nonterminals));
  std::vector<int32_t> missing(rules.size()), ready;
  for (size_t r = 0; r < rules.size(); r++) {
    bool is_hopeless = false;
    for (Symbol symbol : rules[r].right) {
      if (is_terminal(symbol)) {
        is_hopeless = is_hopeless || !good(terminal_of(symbol));
      } else {
        missing[r]++;
        waiting[symbol].push_back(static_cast<int32_t>(r));
      }
    }
    if (is_hopeless) missing[r] = -1;
    if (missing[r] == 0) ready.push_back(static_cast<int32_t>(r));
  }
  while (!ready.empty()) {
    const int32_t left = rules[ready.back()].left;
    ready.pop_back();
    if (result[left]) continue;
    result[left] = 1;
    for (int32_t r : waiting[left]) {
      if (missing[r] > 0 && --missing[r] == 0) ready.push_back(r);
    }
  }
  return result;
}

}  // namespace

Grammar::Grammar(std::unique_ptr<Expressions> expressions, std::vector<Expr> terminals,
                 const std::vector<Rule>& rules, int32_t start, std::vector<Expr> plain, const Limits& limits)
    : expressions_(std::move(expressions)), plain_(std::move(plain)), limits_(limits), start_(start) {
  expressions_->close_classes();
  int32_t nonterminals = start + 1;
  for (const Rule& rule : rules) {
    nonterminals = std::max(nonterminals, rule.left + 1);
    for (Symbol symbol : rule.right) nonterminals = std::max(nonterminals, symbol + 1);
  }
  const auto is_text = [&](Terminal t) { return !expressions_->is_void(terminals[t]); };
  const auto is_empty = [&](Terminal t) { return expressions_->is_nullable(terminals[t]); };
  const std::vector<uint8_t> has_text = closure(rules, nonterminals, is_text);
  if (!has_text[start]) fail(ErrorKind::range, "the grammar matches no text");
  empty_nonterminals_ = closure(rules, nonterminals, is_empty);
  for (Terminal t = 0; t < static_cast<Terminal>(terminals.size()); t++)
    empty_terminals_.push_back(is_empty(t));

  const auto is_used = [&](const Rule& rule) {
    return std::ranges::all_of(rule.right, [&](Symbol symbol) {
      return is_terminal(symbol) ? is_text(terminal_of(symbol)) : has_text[symbol] != 0;
    });
  };
  std::vector<const Rule*> sorted;
  for (const Rule& rule : rules) {
    if (is_used(rule)) sorted.push_back(&rule);
  }
  std::ranges::stable_sort(sorted, {}, [](const Rule* rule) { return rule->left; });
  first_rules_.assign(static_cast<size_t>(nonterminals) + 1, 0);
  for (const Rule* rule : sorted) {
    first_rules_[rule->left + 1]++;
    starts_.push_back(static_cast<int32_t>(symbols_.size()));
    for (Symbol symbol : rule->right) {
      symbols_.push_back(symbol);
      left_of_.push_back(-1);
    }
    symbols_.push_back(0);
    left_of_.push_back(rule->left);
  }
  for (int32_t n = 0; n < nonterminals; n++) first_rules_[n + 1] += first_rules_[n];
  const std::span<const int32_t> whole = rules_of(start);
  is_regular_ =
      whole.size() == 1 && !is_end(whole[0]) && is_terminal(symbols_[whole[0]]) && is_end(whole[0] + 1);
  terminals_ = std::make_unique<Terminals>(*expressions_, std::move(terminals), limits);
  find_followed();
}

void Grammar::find_followed() {
  followed_.assign(empty_terminals_.size(), 0);
  std::vector<uint8_t> met(static_cast<size_t>(num_nonterminals()));
  std::vector<int32_t> open;
  const auto follow = [&](Symbol symbol) {
    if (is_terminal(symbol)) {
      followed_[terminal_of(symbol)] = 1;
    } else if (!met[symbol]) {
      met[symbol] = 1;
      open.push_back(symbol);
    }
  };
  for (int32_t place = 0; place < static_cast<int32_t>(symbols_.size()); place++) {
    if (!is_end(place) && !is_end(place + 1)) follow(symbols_[place]);
  }
  // What a rule ends with is followed where its left side is.
  while (!open.empty()) {
    const int32_t left = open.back();
    open.pop_back();
    for (int32_t rule : rules_of(left)) {
      int32_t end = rule;
      while (!is_end(end)) end++;
      if (end > rule) follow(symbols_[end - 1]);
    }
  }
}

}  // namespace warploop::grammar
