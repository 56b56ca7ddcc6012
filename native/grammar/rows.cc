#include "grammar/rows.h"

#include <algorithm>

namespace warploop::grammar {

namespace {

constexpr size_t kLeastSeen = 256;  // a power of two

size_t hash_of(int32_t place, int32_t origin) {
  const uint64_t both = static_cast<uint64_t>(place) << 32 ^ static_cast<uint32_t>(origin);
  return (both * 0x9e3779b97f4a7c15u) >> 40;  // bits that depend on both; more than a table has
}

}  // namespace

Rows::Rows(Grammar& grammar)
    : grammar_(grammar), seen_(kLeastSeen), predicted_(static_cast<size_t>(grammar.num_nonterminals())) {
  open();
  for (int32_t rule : grammar.rules_of(grammar.start())) add(rule, 0);
  close();
}

void Rows::truncate(int32_t count) {
  if (count >= this->count()) return;
  items_.resize(static_cast<size_t>(rows_[count].first));
  endings_.resize(static_cast<size_t>(rows_[count].first_ending));
  rows_.resize(static_cast<size_t>(count));
}

void Rows::open() {
  rows_.push_back({static_cast<int32_t>(items_.size()), static_cast<int32_t>(endings_.size()), kDead, false});
  round_++;
  allowed_.clear();
}

void Rows::add(int32_t place, int32_t origin) {
  const size_t own = items_.size() - static_cast<size_t>(rows_.back().first);
  if (2 * own >= seen_.size()) {
    seen_.assign(2 * seen_.size(), {});
    for (size_t i = 0; i < own; i++) {
      const Item& item = items_[rows_.back().first + i];
      size_t at = hash_of(item.place, item.origin) & (seen_.size() - 1);
      while (seen_[at].first == round_) at = (at + 1) & (seen_.size() - 1);
      seen_[at] = {round_, static_cast<int32_t>(rows_.back().first + i)};
    }
  }
  size_t at = hash_of(place, origin) & (seen_.size() - 1);
  for (; seen_[at].first == round_; at = (at + 1) & (seen_.size() - 1)) {
    const Item& item = items_[seen_[at].second];
    if (item.place == place && item.origin == origin) return;
  }
  seen_[at] = {round_, static_cast<int32_t>(items_.size())};
  items_.push_back({place, origin});
  grammar_.fuel().spend(4);
  require_simple(static_cast<int64_t>(items_.size()), grammar_.limits().items, "parse items");
}

void Rows::advance(int32_t row, Symbol over) {
  const int32_t end = row + 1 < count() ? rows_[row + 1].first : static_cast<int32_t>(items_.size());
  grammar_.fuel().spend(4 + end - rows_[row].first);
  for (int32_t i = rows_[row].first; i < end; i++) {
    const auto [place, origin] = items_[i];
    if (!grammar_.is_end(place) && grammar_.symbol_at(place) == over) add(place + 1, origin);
  }
}

void Rows::make(int32_t index, std::span<const Ending> endings) {
  if (index < count()) {
    const auto first = endings_.begin() + rows_[index].first_ending;
    const auto end = index + 1 < count() ? endings_.begin() + rows_[index + 1].first_ending : endings_.end();
    if (std::ranges::equal(std::span(first, end), endings)) return truncate(index + 1);
  }
  truncate(index);
  open();
  endings_.insert(endings_.end(), endings.begin(), endings.end());
  require_simple(static_cast<int64_t>(endings_.size()), grammar_.limits().items, "ends of terminals");
  for (const auto& [row, terminal] : endings) advance(row, symbol_of(terminal));
  close();
}

void Rows::close() {
  const int32_t row = count() - 1;
  for (size_t i = static_cast<size_t>(rows_[row].first); i < items_.size(); i++) {
    const auto [place, origin] = items_[i];
    if (grammar_.is_end(place)) {
      const int32_t left = grammar_.left_of(place);
      if (left == grammar_.start() && origin == 0) rows_[row].accepts = true;
      if (origin != row) advance(origin, left);  // else it is empty, which is seen to where it is predicted
      continue;
    }
    const Symbol symbol = grammar_.symbol_at(place);
    if (is_terminal(symbol)) {
      allowed_.push_back(terminal_of(symbol));
    } else if (predicted_[symbol] != round_) {
      predicted_[symbol] = round_;
      for (int32_t rule : grammar_.rules_of(symbol)) add(rule, row);
    }
    if (grammar_.may_be_empty(symbol)) add(place + 1, origin);
  }
  grammar_.fuel().spend(8 * static_cast<int64_t>(allowed_.size()));
  std::ranges::sort(allowed_);
  allowed_.erase(std::unique(allowed_.begin(), allowed_.end()), allowed_.end());
  rows_[row].start = grammar_.terminals().start(allowed_);
}

}  // namespace warploop::grammar
