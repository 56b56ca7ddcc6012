#include "grammar/matcher.h"

#include <algorithm>

namespace warploop::grammar {

namespace {

/// Does something when it goes, also by an error.
template <class Action>
struct Finally {
  Action action;
  ~Finally() { action(); }
};

}  // namespace

Matcher::Matcher(std::shared_ptr<Grammar> grammar, std::shared_ptr<const Vocabulary> vocabulary)
    : grammar_(std::move(grammar)), vocabulary_(std::move(vocabulary)), tank_(grammar_->limits().work) {}

Matcher::Mark Matcher::here() {
  if (!rows_) {
    rows_.emplace(*grammar_);
    if (rows_->start_at(0) != kDead) threads_.push_back({rows_->start_at(0), 0});
    marks_.push_back({0, static_cast<int32_t>(threads_.size()), 1, true});
  }
  return marks_.back();
}

auto Matcher::refuelled() {
  Fuel& fuel = grammar_->fuel();
  fuel.refill(tank_);
  return Finally{[this, &fuel] {
    const Limits& limits = grammar_->limits();
    tank_ = std::min(limits.work, std::max<int64_t>(fuel.left(), 0) + limits.work_per_call);
  }};
}

bool Matcher::is_accepting() {
  const std::lock_guard lock(grammar_->mutex());
  if (!rows_) {
    const auto fuel = refuelled();
    here();
  }
  return is_accepting(marks_.back());
}

bool Matcher::step(const Mark& from, uint8_t byte, Mark* to) {
  Terminals& terminals = grammar_->terminals();
  const auto first = static_cast<int32_t>(threads_.size());
  grammar_->fuel().spend(1 + from.count);
  endings_.clear();
  for (int32_t i = 0; i < from.count; i++) {
    const Thread thread = threads_[from.first + i];
    const TerminalState next = terminals.next(thread.state, byte);
    if (next == kDead) continue;
    for (Terminal terminal : terminals.ending(next)) endings_.push_back({thread.row, terminal});
    if (terminals.goes_on(next)) threads_.push_back({next, thread.row});
  }
  const bool has_row = !endings_.empty();
  if (has_row) {
    rows_->make(from.rows, endings_);
    const TerminalState start = rows_->start_at(from.rows);
    if (start != kDead) threads_.push_back({start, from.rows});
  }
  require_simple(static_cast<int64_t>(threads_.size()), grammar_->limits().items, "threads");
  *to = {first, static_cast<int32_t>(threads_.size()) - first, from.rows + has_row, has_row};
  return to->count > 0 || has_row;
}

void Matcher::walk(const Trie& trie, uint32_t* mask) {
  Terminals& terminals = grammar_->terminals();
  const Mark here = marks_.back();
  const int32_t end = here.first + here.count;
  path_.resize(static_cast<size_t>(trie.depth) + 1);
  path_[0] = {here, here.count == 1 ? threads_[here.first].state : kDead};
  const TrieNode* const nodes = trie.nodes.data();
  const auto count = static_cast<int32_t>(trie.nodes.size());
  // Behind what ends the text nothing begins.
  const auto needs_row = [&](std::span<const Terminal> ending) {
    return std::ranges::any_of(ending, [&](Terminal terminal) { return grammar_->is_followed(terminal); });
  };
  int64_t alone = 0;
  for (int32_t i = 0; i < count;) {
    const TrieNode& node = nodes[i];
    Place& from = path_[node.depth];
    Place& to = path_[node.depth + 1];
    to.lone = kDead;
    bool comes;
    if (from.lone != kDead) {
      alone++;
      const TerminalState next = terminals.next(from.lone, node.byte);
      comes = next != kDead;
      if (comes && !needs_row(terminals.ending(next))) {
        to.lone = next;
      } else if (comes) {  // a row is made
        threads_.resize(static_cast<size_t>(end));
        threads_.push_back({from.lone, threads_[here.first].row});
        from.mark = {end, 1, here.rows, false};
        comes = step(from.mark, node.byte, &to.mark);
      }
    } else {
      threads_.resize(static_cast<size_t>(from.mark.first + from.mark.count));
      comes = step(from.mark, node.byte, &to.mark);
    }
    if (comes && node.token >= 0) vocabulary_->allow(node.token, mask);
    i += comes ? 1 : node.size;
  }
  grammar_->fuel().spend(alone);
}

void Matcher::return_to(const Mark& place) {
  threads_.resize(static_cast<size_t>(place.first + place.count));
  rows_->truncate(place.rows);
}

void Matcher::find_next(size_t most_forced) {
  if (is_prepared_ && next_.most_forced == most_forced) return;
  const auto fuel = refuelled();
  is_prepared_ = false;
  next_.most_forced = most_forced;
  next_.forced = find_forced(most_forced);
  next_.mask.resize(static_cast<size_t>(vocabulary_->words()));
  find_mask(next_.mask.data());
  is_prepared_ = true;
}

void Matcher::prepare(size_t most_forced) {
  const std::lock_guard lock(grammar_->mutex());
  find_next(most_forced);
}

bool Matcher::prepare_quickly(size_t most_forced) {
  const std::unique_lock lock(grammar_->mutex(), std::try_to_lock);
  if (!lock) return false;  // another text of the grammar takes long
  const int64_t kept = tank_ - grammar_->limits().quick_work;
  if (kept > 0) tank_ -= kept;
  try {
    find_next(most_forced);
  } catch (const Error&) {
    // What was found until then stays: what goes on is not as long.
    if (kept <= 0 || grammar_->fuel().left() >= 0) throw;
    tank_ = kept;
    return false;
  }
  if (kept > 0) tank_ = std::min(tank_ + kept, grammar_->limits().work);
  return true;
}

bool Matcher::fill_mask(uint32_t* mask) {
  const std::lock_guard lock(grammar_->mutex());
  if (is_prepared_) {
    std::ranges::copy(next_.mask, mask);
  } else {
    const auto fuel = refuelled();
    find_mask(mask);
  }
  return std::any_of(mask, mask + vocabulary_->words(), [](uint32_t word) { return word != 0; });
}

void Matcher::find_mask(uint32_t* mask) {
  const Mark at = here();
  const Finally back{[&] { return_to(at); }};
  if (grammar_->is_regular()) {
    allow_known(at, mask);
  } else {
    allow_from(at, mask);
  }
}

void Matcher::allow_known(const Mark& here, uint32_t* mask) {
  constexpr size_t kMostMasks = 64;
  // There is one thread at most: nothing begins where the terminal ends.
  const TerminalState state = here.count > 0 ? threads_[here.first].state : kDead;
  Grammar::Masks& masks = grammar_->masks();
  if (masks.vocabulary != vocabulary_) masks = {vocabulary_, {}};
  if (const auto known = masks.by_state.find(state); known != masks.by_state.end()) {
    std::ranges::copy(known->second, mask);
    return;
  }
  allow_from(here, mask);
  if (masks.by_state.size() == kMostMasks) masks.by_state.clear();
  masks.by_state.emplace(state, std::vector(mask, mask + vocabulary_->words()));
}

void Matcher::allow_from(const Mark& here, uint32_t* mask) {
  const std::vector<Expr>& plain = grammar_->plain();
  const std::vector<Vocabulary::Part>& parts = vocabulary_->parts();
  const auto is_covered = [&](Expr text) {
    const auto covers = [&](const Thread& thread) {
      return grammar_->terminals().covers(thread.state, text);
    };
    return std::any_of(threads_.begin() + here.first, threads_.begin() + here.first + here.count, covers);
  };
  // Each kind of plain text is part of the next.
  size_t p = 0;
  while (p < plain.size() && is_covered(plain[p])) p++;
  if (p == 0) {
    std::fill_n(mask, vocabulary_->words(), 0u);
  } else {
    std::ranges::copy(parts[p - 1].mask, mask);
  }
  for (; p < parts.size(); p++) walk(parts[p].trie, mask);
}

bool Matcher::accept(int32_t token) {
  const std::lock_guard lock(grammar_->mutex());
  const Limits& limits = grammar_->limits();
  grammar_->fuel().refill(rows_ ? limits.accept_work : limits.work);
  const Mark here = this->here();
  Mark at = here;
  const auto bytes =
      token >= 0 && token < vocabulary_->size() ? vocabulary_->bytes_of(token) : std::span<const uint8_t>{};
  bool comes = !bytes.empty(), is_kept = false;
  const Finally back{[&] {
    if (!is_kept) return_to(here);
  }};
  for (size_t i = 0; i < bytes.size() && comes; i++) comes = step(at, bytes[i], &at);
  if (!comes) return false;
  is_kept = true;
  is_prepared_ = false;
  // Only the threads behind the whole token stay.
  const int32_t first = here.first + here.count;
  std::copy_n(threads_.begin() + at.first, at.count, threads_.begin() + first);
  threads_.resize(static_cast<size_t>(first + at.count));
  at.first = first;
  marks_.push_back(at);
  return true;
}

void Matcher::rollback(int32_t count) {
  const std::lock_guard lock(grammar_->mutex());
  const auto length = static_cast<int32_t>(std::max<size_t>(marks_.size(), 1)) - 1;
  if (count < 0 || count > length) {
    fail(ErrorKind::range, "rollback: expected 0 to ", length, " tokens, got ", count);
  }
  if (count == 0) return;
  is_prepared_ = false;
  marks_.resize(marks_.size() - static_cast<size_t>(count));
  return_to(marks_.back());
}

std::vector<uint8_t> Matcher::forced_bytes(size_t most) {
  const std::lock_guard lock(grammar_->mutex());
  if (is_prepared_ && next_.most_forced == most) return next_.forced;
  const auto fuel = refuelled();
  return find_forced(most);
}

std::vector<uint8_t> Matcher::find_forced(size_t most) {
  const Mark here = this->here();
  const Finally back{[&] { return_to(here); }};
  Mark at = here;
  std::vector<uint8_t> forced;
  while (forced.size() < most && !is_accepting(at)) {
    int possible = 0;
    uint8_t only = 0;
    const std::span<const Thread> threads = std::span(threads_).subspan(at.first, at.count);
    grammar_->fuel().spend(256 * static_cast<int64_t>(threads.size()));
    for (int byte = 0; byte < 256 && possible < 2; byte++) {
      const auto goes_on = [&](const Thread& thread) {
        return grammar_->terminals().next(thread.state, static_cast<uint8_t>(byte)) != kDead;
      };
      if (!std::ranges::any_of(threads, goes_on)) continue;
      possible++;
      only = static_cast<uint8_t>(byte);
    }
    if (possible != 1 || !step(at, only, &at)) break;
    forced.push_back(only);
  }
  return forced;
}

}  // namespace warploop::grammar
