// Earley's algorithm over terminals of any length: a row for each place of a text where a terminal ends, with
// the items that begin, go on and end there. Rows are made from left to right and given up from right to
// left.
//
// Earley, An Efficient Context-Free Parsing Algorithm, CACM 13 (1970); Aycock, Horspool, Practical Earley
// Parsing, The Computer Journal 45 (2002), for rules that may be empty.
#pragma once
#include "grammar/grammar.h"

namespace warploop::grammar {

class Rows {
 public:
  /// The first row: before the text.
  explicit Rows(Grammar& grammar);

  int32_t count() const { return static_cast<int32_t>(rows_.size()); }
  /// Forgets the rows from `count` on.
  void truncate(int32_t count);

  /// A terminal that began at a row.
  struct Ending {
    int32_t row;
    Terminal terminal;
    friend bool operator==(const Ending&, const Ending&) = default;
  };
  /// Makes row `index`, where these terminals end, and forgets those behind it. Of two bytes that end the
  /// same terminals at one place the row is made once.
  void make(int32_t index, std::span<const Ending> endings);

  /// Where terminals may begin that can stand at a row.
  TerminalState start_at(int32_t row) const { return rows_[row].start; }
  /// Whether the text may end there.
  bool accepts(int32_t row) const { return rows_[row].accepts; }

 private:
  struct Item {
    int32_t place, origin;
  };
  struct Row {
    int32_t first;         // of its items
    int32_t first_ending;  // of what it was made of
    TerminalState start;
    bool accepts;
  };

  void open();
  void close();
  void add(int32_t place, int32_t origin);
  void advance(int32_t row, Symbol over);

  Grammar& grammar_;
  std::vector<Row> rows_;
  std::vector<Item> items_;
  std::vector<Ending> endings_;
  /// Items of the open row, by a hash of theirs: which of them are there already. Those of other rounds are
  /// stale.
  std::vector<std::pair<uint32_t, int32_t>> seen_;
  uint32_t round_ = 0;
  std::vector<uint32_t> predicted_;  // by nonterminal, the round in which it was
  std::vector<Terminal> allowed_;
};

}  // namespace warploop::grammar
