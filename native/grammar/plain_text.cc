#include "grammar/plain_text.h"

#include <initializer_list>

namespace warploop::grammar {

namespace {

using ByteRange = std::pair<int, int>;

/// Characters of most tokens, and of nearly all others.
constexpr int32_t kFew = 10, kMany = 30;

/// A byte of each range, one after another.
Expr sequence(Expressions& to, std::initializer_list<ByteRange> ranges) {
  Expr whole = kEmpty;
  for (auto range = std::rbegin(ranges); range != std::rend(ranges); ++range) {
    ByteSet set;
    for (int byte = range->first; byte <= range->second; byte++) set.add(byte);
    whole = to.concat(to.bytes(set), whole);
  }
  return whole;
}

}  // namespace

std::vector<Expr> plain_texts(Expressions& to) {
  constexpr ByteRange kRest{0x80, 0xbf};
  // Without controls, the quote (22) and the backslash (5c); well-formed UTF-8 (Unicode 15, table 3-7).
  const Expr foreign = to.either({
      sequence(to, {{0xc2, 0xdf}, kRest}),
      sequence(to, {{0xe0, 0xe0}, {0xa0, 0xbf}, kRest}),
      sequence(to, {{0xe1, 0xec}, kRest, kRest}),
      sequence(to, {{0xed, 0xed}, {0x80, 0x9f}, kRest}),
      sequence(to, {{0xee, 0xef}, kRest, kRest}),
      sequence(to, {{0xf0, 0xf0}, {0x90, 0xbf}, kRest, kRest}),
      sequence(to, {{0xf1, 0xf3}, kRest, kRest, kRest}),
      sequence(to, {{0xf4, 0xf4}, {0x80, 0x8f}, kRest, kRest}),
  });
  const Expr character = to.either({
      foreign,
      sequence(to, {{0x20, 0x21}}),
      sequence(to, {{0x23, 0x5b}}),
      sequence(to, {{0x5d, 0x7e}}),
  });
  const Expr lower = sequence(to, {{'a', 'z'}});
  const Expr alphanumeric = to.either({lower, sequence(to, {{'A', 'Z'}}), sequence(to, {{'0', '9'}})});
  const Expr spaced = to.either({alphanumeric, sequence(to, {{' ', ' '}})});
  // Without the marks that texts in other texts begin and end with.
  const Expr unmarked = to.either({spaced, foreign});
  std::vector<Expr> texts;
  for (Expr of : {lower, alphanumeric, spaced, unmarked, character}) texts.push_back(to.repeat(of, 1, kFew));
  for (int32_t most : {kMany, kUnbounded}) texts.push_back(to.repeat(character, 1, most));
  return texts;
}

}  // namespace warploop::grammar
