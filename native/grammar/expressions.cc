#include "grammar/expressions.h"

#include <algorithm>
#include <unordered_set>

namespace warploop::grammar {

namespace {

constexpr Expr kUnknown = -1;

uint64_t mix(uint64_t hash, uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
  return hash * 0xbf58476d1ce4e5b9u;
}

}  // namespace

Expressions::Expressions(const Limits& limits) : limits_(limits), fuel_(limits.work) {
  const auto constant = [&](Kind kind, bool nullable) {
    nodes_.push_back({kind, nullable, false, 0, 0, 0, 0, -1});
  };
  constant(Kind::nothing, false);
  constant(Kind::empty, true);
  parts_.push_back(kNothing);
  nodes_.push_back({Kind::complement, true, false, 0, 1, 0, 0, -1});  // kAnything
}

Expr Expressions::add(Node node, std::span<const Expr> parts) {
  fuel_.spend(24 + 2 * static_cast<int64_t>(parts.size()));  // it is looked for, mostly far from the last one
  uint64_t hash = mix(static_cast<uint64_t>(node.kind),
                      static_cast<uint64_t>(node.min) << 32 ^ static_cast<uint32_t>(node.max));
  if (node.kind == Kind::bytes) {
    for (uint64_t word : sets_[node.first].words) hash = mix(hash, word);
  }
  for (Expr part : parts) hash = mix(hash, static_cast<uint64_t>(part));
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const Node& other = nodes_[it->second];
    if (other.kind != node.kind || other.min != node.min || other.max != node.max) continue;
    if (node.kind == Kind::bytes ? sets_[other.first] == sets_[node.first]
                                 : std::ranges::equal(parts_of(it->second), parts)) {
      return it->second;
    }
  }
  if (node.kind != Kind::bytes) {
    node.first = static_cast<int32_t>(parts_.size());
    node.count = static_cast<int32_t>(parts.size());
    for (const Expr& part : parts) {
      const bool is_tail = node.kind == Kind::concat && &part == &parts.back();
      node.is_logical = node.is_logical || nodes_[part].is_logical;
      node.depth = std::max(node.depth, nodes_[part].depth + (is_tail ? 0 : 1));
    }
    require_simple(node.depth, limits_.depth, "levels of regular expressions");
    const std::vector<Expr> copy(parts.begin(), parts.end());  // which may be a view of parts_
    parts_.insert(parts_.end(), copy.begin(), copy.end());
  }
  fuel_.spend(32);
  const Expr expr = static_cast<Expr>(nodes_.size());
  nodes_.push_back(node);
  by_hash_.emplace(hash, expr);
  require_simple(static_cast<int64_t>(nodes_.size()), limits_.expressions, "regular expressions");
  require_simple(static_cast<int64_t>(parts_.size()), limits_.parts, "parts of regular expressions");
  return expr;
}

Expr Expressions::bytes(const ByteSet& set) {
  if (set.is_empty()) return kNothing;
  sets_.push_back(set);
  const int32_t index = static_cast<int32_t>(sets_.size()) - 1;
  const size_t before = nodes_.size();
  const Expr expr = add({Kind::bytes, false, false, index, 0, 0, 0, -1}, {});
  if (nodes_.size() == before) sets_.pop_back();
  return expr;
}

Expr Expressions::concat(Expr first, Expr then) {
  if (first == kNothing || then == kNothing) return kNothing;
  if (then == kEmpty) return first;
  // To the right, so that equal sequences are equal expressions.
  std::vector<Expr> heads;
  for (; nodes_[first].kind == Kind::concat; first = parts_of(first)[1]) heads.push_back(parts_of(first)[0]);
  Expr whole = prepend(first, then);
  for (size_t i = heads.size(); i-- > 0;) whole = prepend(heads[i], whole);
  return whole;
}

Expr Expressions::prepend(Expr head, Expr then) {
  if (head == kEmpty) return then;
  if (then == kEmpty) return head;
  if (head == kAnything && then == kAnything) return kAnything;
  const bool nullable = is_nullable(head) && is_nullable(then);
  const Expr parts[] = {head, then};
  return add({Kind::concat, nullable, false, 0, 0, 0, 0, -1}, parts);
}

void Expressions::flatten(Kind kind, std::vector<Expr>& parts) {
  std::vector<Expr> flat;
  for (Expr part : parts) {
    if (nodes_[part].kind == kind) {
      const auto inner = parts_of(part);  // flat by itself
      flat.insert(flat.end(), inner.begin(), inner.end());
    } else {
      flat.push_back(part);
    }
  }
  fuel_.spend(8 * static_cast<int64_t>(flat.size()));
  std::ranges::sort(flat);
  flat.erase(std::unique(flat.begin(), flat.end()), flat.end());
  parts = std::move(flat);
}

Expr Expressions::either(std::vector<Expr> parts) {
  flatten(Kind::either, parts);
  std::erase(parts, kNothing);
  if (std::ranges::find(parts, kAnything) != parts.end()) return kAnything;
  ByteSet all;
  for (Expr part : parts) {
    if (nodes_[part].kind == Kind::bytes) all = all | sets_[nodes_[part].first];
  }
  if (!all.is_empty()) {
    std::erase_if(parts, [&](Expr part) { return nodes_[part].kind == Kind::bytes; });
    parts.push_back(bytes(all));
    std::ranges::sort(parts);
  }
  if (parts.empty()) return kNothing;
  if (parts.size() == 1) return parts[0];
  const bool nullable = std::ranges::any_of(parts, [&](Expr part) { return is_nullable(part); });
  if (std::ranges::any_of(parts, [&](Expr part) { return part != kEmpty && is_nullable(part); })) {
    std::erase(parts, kEmpty);
    if (parts.size() == 1) return parts[0];
  }
  return add({Kind::either, nullable, false, 0, 0, 0, 0, -1}, parts);
}

Expr Expressions::both(std::vector<Expr> parts) {
  flatten(Kind::both, parts);
  std::erase(parts, kAnything);
  if (std::ranges::find(parts, kNothing) != parts.end()) return kNothing;
  for (Expr part : parts) {
    const bool is_complement = nodes_[part].kind == Kind::complement;
    if (is_complement && std::ranges::binary_search(parts, parts_of(part)[0])) return kNothing;
  }
  drop_wider_repeats(parts);
  if (parts.empty()) return kAnything;
  if (parts.size() == 1) return parts[0];
  const bool nullable = std::ranges::all_of(parts, [&](Expr part) { return is_nullable(part); });
  if (std::ranges::find(parts, kEmpty) != parts.end()) return nullable ? kEmpty : kNothing;
  return add({Kind::both, nullable, true, 0, 0, 0, 0, -1}, parts);
}

void Expressions::drop_wider_repeats(std::vector<Expr>& parts) {
  const auto is_star = [&](const Node& node) { return node.min == 0 && node.max == kUnbounded; };
  std::unordered_set<Expr> repeated;  // otherwise than so
  for (Expr part : parts) {
    const Node& node = nodes_[part];
    if (node.kind == Kind::repeat && !is_star(node)) repeated.insert(parts_of(part)[0]);
  }
  if (repeated.empty()) return;
  std::erase_if(parts, [&](Expr part) {
    const Node& node = nodes_[part];
    return node.kind == Kind::repeat && is_star(node) && repeated.contains(parts_of(part)[0]);
  });
}

Expr Expressions::complement(Expr of) {
  if (of == kNothing) return kAnything;
  if (of == kAnything) return kNothing;
  if (nodes_[of].kind == Kind::complement) return parts_of(of)[0];
  const Expr parts[] = {of};
  return add({Kind::complement, !is_nullable(of), true, 0, 0, 0, 0, -1}, parts);
}

Expr Expressions::repeat(Expr of, int32_t min, int32_t max) {
  if (max == 0 || of == kEmpty) return kEmpty;
  if (of == kNothing) return min == 0 ? kEmpty : kNothing;
  if (is_nullable(of)) min = 0;
  if (min == 1 && max == 1) return of;
  if (of == kAnything) return of;
  const Node& inner = nodes_[of];
  if (inner.kind == Kind::repeat && inner.min == 0 && inner.max == kUnbounded) return of;
  const Expr parts[] = {of};
  return add({Kind::repeat, min == 0, false, 0, 0, min, max, -1}, parts);
}

bool Expressions::is_void(Expr of) {
  if (of == kNothing) return true;
  if (!nodes_[of].is_logical || is_nullable(of)) return false;
  if (const auto known = voids_.find(of); known != voids_.end()) return known->second;
  // Into the depth until something matches the empty text: long texts have one path, and much beside it.
  struct Place {
    Expr at;
    int next_class;
  };
  std::vector<Place> path{{of, 0}};
  std::unordered_set<Expr> met{of};
  bool matches = false;
  while (!matches && !path.empty()) {
    Place& place = path.back();
    if (place.next_class == num_classes()) {
      path.pop_back();
      continue;
    }
    fuel_.spend(8);
    const Expr next = derivative(place.at, place.next_class++);
    if (next == kNothing || !met.insert(next).second) continue;
    matches = is_nullable(next) || !nodes_[next].is_logical;
    if (const auto known = voids_.find(next); !matches && known != voids_.end()) {
      matches = !known->second;
    } else {
      path.push_back({next, 0});
    }
  }
  if (matches) {  // as does all that led there: else each step of a long text would look as far once more
    for (const Place& place : path) voids_[place.at] = false;
  } else {
    for (Expr each : met) voids_[each] = true;
  }
  return !matches;
}

void Expressions::close_classes() {
  std::array<int, 256> group{};
  int count = 1;
  for (const ByteSet& set : sets_) {
    if (count == 256) break;  // each byte is told from all others
    fuel_.spend(256);
    std::unordered_map<int, int> inside;  // by group: that of its bytes in the set
    std::array<int, 256> sizes{}, hits{};
    for (int byte = 0; byte < 256; byte++) {
      sizes[group[byte]]++;
      if (set.has(byte)) hits[group[byte]]++;
    }
    for (int byte = 0; byte < 256; byte++) {
      const int own = group[byte];
      if (!set.has(byte) || hits[own] == sizes[own]) continue;
      const auto [it, is_new] = inside.emplace(own, count);
      if (is_new) count++;
      group[byte] = it->second;
    }
  }
  representatives_.assign(static_cast<size_t>(count), 0);
  for (int byte = 255; byte >= 0; byte--) {
    class_of_[byte] = static_cast<uint8_t>(group[byte]);
    representatives_[group[byte]] = static_cast<uint8_t>(byte);
  }
}

Expr Expressions::derivative(Expr of, int byte_class) {
  if (of == kNothing || of == kEmpty) return kNothing;
  if (of == kAnything) return kAnything;
  if (nodes_[of].derivatives < 0) {
    nodes_[of].derivatives = static_cast<int32_t>(derivatives_.size());
    derivatives_.resize(derivatives_.size() + num_classes(), kUnknown);
    fuel_.spend(num_classes());
    require_simple(static_cast<int64_t>(derivatives_.size()), limits_.transitions, "derivatives");
  }
  const int32_t at = nodes_[of].derivatives + byte_class;
  if (derivatives_[at] == kUnknown) {
    const Expr result = compute_derivative(of, byte_class);
    derivatives_[at] = result;
  }
  return derivatives_[at];
}

Expr Expressions::derive_sequence(Expr of, int byte_class) {
  std::vector<Expr> ways;
  while (nodes_[of].kind == Kind::concat) {
    fuel_.spend(16);
    const Expr head = parts_of(of)[0], tail = parts_of(of)[1];
    ways.push_back(concat(derivative(head, byte_class), tail));
    if (!is_nullable(head)) return either(std::move(ways));
    of = tail;
  }
  ways.push_back(derivative(of, byte_class));
  return either(std::move(ways));
}

Expr Expressions::compute_derivative(Expr of, int byte_class) {
  const Node node = nodes_[of];
  if (node.kind == Kind::concat) return derive_sequence(of, byte_class);
  fuel_.spend(32 + 4 * node.count);
  // Parts may move while derivatives are made.
  const std::vector<Expr> parts(parts_of(of).begin(), parts_of(of).end());
  const auto derive_all = [&] {
    std::vector<Expr> derived;
    for (Expr part : parts) derived.push_back(derivative(part, byte_class));
    return derived;
  };
  switch (node.kind) {
    case Kind::nothing:
    case Kind::empty:
      return kNothing;
    case Kind::bytes:
      return sets_[node.first].has(representatives_[byte_class]) ? kEmpty : kNothing;
    case Kind::concat:
      break;
    case Kind::either:
      return either(derive_all());
    case Kind::both:
      return both(derive_all());
    case Kind::complement:
      return complement(derivative(parts[0], byte_class));
    case Kind::repeat: {
      const int32_t max = node.max == kUnbounded ? kUnbounded : node.max - 1;
      const Expr rest = repeat(parts[0], std::max(node.min - 1, 0), max);
      return concat(derivative(parts[0], byte_class), rest);
    }
  }
  __builtin_unreachable();
}

}  // namespace warploop::grammar
