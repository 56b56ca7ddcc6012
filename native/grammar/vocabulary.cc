#include "grammar/vocabulary.h"

#include <algorithm>

#include "grammar/plain_text.h"

namespace warploop::grammar {

namespace {

constexpr size_t kMostBytes = UINT16_MAX;  // the depth of a trie

}  // namespace

Vocabulary::Vocabulary(std::vector<uint8_t> bytes, std::vector<int32_t> ends)
    : bytes_(std::move(bytes)), ends_(std::move(ends)), twins_(ends_.size(), -1) {
  for (int32_t token = 0; token < size(); token++) {
    const size_t length = bytes_of(token).size();
    if (length > kMostBytes) {
      fail(ErrorKind::range, "vocabulary: token ", token, ": expected at most ", kMostBytes, " bytes, got ",
           length);
    }
    if (!bytes_of(token).empty()) sorted_.push_back(token);
  }
  std::ranges::stable_sort(sorted_, [&](int32_t a, int32_t b) {
    return std::ranges::lexicographical_compare(bytes_of(a), bytes_of(b));
  });
  const auto is_twin = [&](int32_t a, int32_t b) { return std::ranges::equal(bytes_of(a), bytes_of(b)); };
  for (size_t i = 1; i < sorted_.size(); i++) {
    if (is_twin(sorted_[i - 1], sorted_[i])) twins_[sorted_[i - 1]] = sorted_[i];
  }
  sorted_.erase(std::unique(sorted_.begin(), sorted_.end(), is_twin), sorted_.end());

  // Few states, however many tokens: these are no text of a request.
  Expressions expressions{Limits{.work = INT64_MAX}};
  const std::vector<Expr> kinds = plain_texts(expressions);
  expressions.close_classes();
  const auto is_of = [&](Expr kind, std::span<const uint8_t> text) {
    for (uint8_t byte : text) kind = expressions.derivative(kind, expressions.class_of(byte));
    return expressions.is_nullable(kind);
  };
  std::vector<std::vector<int32_t>> members(kinds.size() + 1);
  for (int32_t token : sorted_) {
    size_t kind = 0;
    while (kind < kinds.size() && !is_of(kinds[kind], bytes_of(token))) kind++;
    members[kind].push_back(token);
  }
  for (const auto& each : members) {
    Part part = build(each);
    for (size_t w = 0; w < part.mask.size() && !parts_.empty(); w++) part.mask[w] |= parts_.back().mask[w];
    parts_.push_back(std::move(part));
  }
}

Vocabulary::Part Vocabulary::build(std::span<const int32_t> tokens) const {
  Part part;
  part.mask.resize(static_cast<size_t>(words()));
  std::vector<TrieNode>& nodes = part.trie.nodes;
  std::vector<int32_t> path;  // nodes of the token before, by depth
  std::span<const uint8_t> before;
  const auto leave = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back()) {
      nodes[path.back()].size = static_cast<int32_t>(nodes.size()) - path.back();
    }
  };
  for (int32_t token : tokens) {
    allow(token, part.mask.data());
    const auto bytes = bytes_of(token);
    const auto common = static_cast<size_t>(std::ranges::mismatch(bytes, before).in1 - bytes.begin());
    leave(common);
    for (size_t depth = common; depth < bytes.size(); depth++) {
      path.push_back(static_cast<int32_t>(nodes.size()));
      nodes.push_back({-1, 0, static_cast<uint16_t>(depth), bytes[depth]});
    }
    nodes.back().token = token;
    part.trie.depth = std::max(part.trie.depth, static_cast<int>(bytes.size()));
    before = bytes;
  }
  leave(0);
  return part;
}

}  // namespace warploop::grammar
