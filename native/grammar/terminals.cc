#include "grammar/terminals.h"

#include <algorithm>
#include <unordered_set>

namespace warploop::grammar {

Terminals::Terminals(Expressions& expressions, std::vector<Expr> terminals, const Limits& limits)
    : expressions_(expressions),
      terminals_(std::move(terminals)),
      limits_(limits),
      classes_(expressions.num_classes()) {
  intern({});  // kDead
}

TerminalState Terminals::start(std::span<const Terminal> which) {
  expressions_.fuel().spend(8 * static_cast<int64_t>(which.size()));
  std::vector<Part> parts;
  for (Terminal terminal : which) parts.push_back({terminal, terminals_[terminal]});
  std::ranges::sort(parts, {}, &Part::terminal);
  return intern(parts);
}

TerminalState Terminals::intern(const std::vector<Part>& parts) {
  expressions_.fuel().spend(16 + 4 * static_cast<int64_t>(parts.size()));
  uint64_t hash = parts.size();
  for (const Part& part : parts) {
    const auto both = static_cast<uint64_t>(part.terminal) << 32 ^ static_cast<uint32_t>(part.rest);
    hash = (hash ^ both) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const State& other = states_[it->second];
    if (std::ranges::equal(std::span(parts_).subspan(other.first, other.count), parts)) return it->second;
  }
  const auto state = static_cast<TerminalState>(states_.size());
  State made{static_cast<int32_t>(parts_.size()), static_cast<int32_t>(parts.size()),
             static_cast<int32_t>(ending_.size()), 0, false};
  for (const Part& part : parts) {
    if (expressions_.is_nullable(part.rest)) {
      ending_.push_back(part.terminal);
      made.num_ending++;
    }
    made.goes_on = made.goes_on || part.rest != kEmpty;
  }
  parts_.insert(parts_.end(), parts.begin(), parts.end());
  states_.push_back(made);
  next_.resize(next_.size() + classes_, -1);
  by_hash_.emplace(hash, state);
  require_simple(static_cast<int64_t>(states_.size()), limits_.states, "states");
  require_simple(static_cast<int64_t>(next_.size()), limits_.transitions, "transitions of states");
  require_simple(static_cast<int64_t>(parts_.size()), limits_.parts, "parts of states");
  return state;
}

TerminalState Terminals::compute_next(TerminalState state, int byte_class) {
  std::vector<Part> parts;
  expressions_.fuel().spend(16 * static_cast<int64_t>(states_[state].count));
  for (int32_t i = 0; i < states_[state].count; i++) {
    const auto [terminal, rest] = parts_[states_[state].first + i];
    const Expr left = expressions_.derivative(rest, byte_class);
    if (!expressions_.is_void(left)) parts.push_back({terminal, left});
  }
  const TerminalState next = intern(parts);
  next_[static_cast<size_t>(state) * classes_ + byte_class] = next;
  return next;
}

namespace {

/// Bytes of a path from which on a terminal counts as one that does not take all of a text: bounded texts are
/// long.
constexpr size_t kDeepest = 150;

}  // namespace

bool Terminals::covers(TerminalState state, Expr text) {
  const auto key = [](TerminalState s, Expr e) {
    return static_cast<uint64_t>(s) << 32 ^ static_cast<uint32_t>(e);
  };
  if (const auto known = covered_.find(key(state, text)); known != covered_.end()) return known->second;
  // Into the depth first: what is too long is found on one path.
  struct Pair {
    TerminalState state;
    Expr text;
    int next_class;
  };
  std::vector<Pair> path{{state, text, 0}};
  std::unordered_set<uint64_t> met{key(state, text)};
  bool all = state != kDead;
  while (all && !path.empty()) {
    Pair& at = path.back();
    if (at.next_class == classes_) {
      path.pop_back();
      continue;
    }
    expressions_.fuel().spend(8);
    const int byte_class = at.next_class++;
    const Expr left = expressions_.derivative(at.text, byte_class);
    if (expressions_.is_void(left)) continue;
    const TerminalState known = next_[static_cast<size_t>(at.state) * classes_ + byte_class];
    const TerminalState next = known >= 0 ? known : compute_next(at.state, byte_class);
    all = next != kDead;
    if (!all || !met.insert(key(next, left)).second) continue;
    if (const auto known_pair = covered_.find(key(next, left)); known_pair != covered_.end()) {
      all = known_pair->second;
    } else {
      path.push_back({next, left, 0});
      all = path.size() <= kDeepest;
    }
  }
  if (all) {
    for (uint64_t pair : met) covered_.emplace(pair, true);
  } else {  // nor is any text whose way led here
    for (const Pair& pair : path) covered_.emplace(key(pair.state, pair.text), false);
  }
  return all;
}

}  // namespace warploop::grammar
