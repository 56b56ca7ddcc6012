#include "grammar/program.h"

#include "grammar/plain_text.h"

namespace warploop::grammar {

namespace {

/// The order of `ops` in lib/grammar/expressions.ts.
enum class Op { bytes, text, concat, either, both, complement, repeat };

/// Numbers one after another.
class Reader {
 public:
  explicit Reader(std::span<const int32_t> numbers) : numbers_(numbers) {}
  bool is_at_end() const { return at_ == numbers_.size(); }
  int32_t next() {
    if (is_at_end()) fail(ErrorKind::range, "grammar: the program ends too early");
    return numbers_[at_++];
  }
  int32_t next_in(int32_t least, int64_t end, const char* what) {
    const int32_t value = next();
    if (value < least || value >= end) fail(ErrorKind::range, "grammar: ", what, ": got ", value);
    return value;
  }

 private:
  std::span<const int32_t> numbers_;
  size_t at_ = 0;
};

class NodeReader {
 public:
  NodeReader(std::span<const int32_t> nodes, Expressions& expressions) : read_(nodes), to_(expressions) {
    while (!read_.is_at_end()) nodes_.push_back(node());
  }
  const std::vector<Expr>& nodes() const { return nodes_; }

 private:
  Expr reference() { return nodes_[read_.next_in(0, static_cast<int64_t>(nodes_.size()), "a node")]; }
  std::vector<Expr> references() {
    std::vector<Expr> list;
    for (int32_t count = read_.next_in(0, INT32_MAX, "a count"); count > 0; count--)
      list.push_back(reference());
    return list;
  }
  Expr sequence(const std::vector<Expr>& parts) {
    Expr whole = kEmpty;
    for (size_t i = parts.size(); i-- > 0;) whole = to_.concat(parts[i], whole);
    return whole;
  }
  Expr node() {
    switch (static_cast<Op>(read_.next_in(0, 7, "an op"))) {
      case Op::bytes: {
        ByteSet set;
        for (int i = 0; i < 8; i++) {
          set.words[i / 2] |= static_cast<uint64_t>(static_cast<uint32_t>(read_.next())) << (i % 2 * 32);
        }
        return to_.bytes(set);
      }
      case Op::text: {
        std::vector<Expr> bytes;
        for (int32_t count = read_.next_in(0, INT32_MAX, "a count"); count > 0; count--) {
          ByteSet set;
          set.add(read_.next_in(0, 256, "a byte"));
          bytes.push_back(to_.bytes(set));
        }
        return sequence(bytes);
      }
      case Op::concat:
        return sequence(references());
      case Op::either:
        return to_.either(references());
      case Op::both:
        return to_.both(references());
      case Op::complement:
        return to_.complement(reference());
      case Op::repeat: {
        const Expr of = reference();
        const int32_t min = read_.next_in(0, INT32_MAX, "a count");
        const int32_t max = read_.next_in(kUnbounded, INT32_MAX, "a count");
        if (max != kUnbounded && max < min) return kNothing;
        return to_.repeat(of, min, max);
      }
    }
    __builtin_unreachable();
  }

  Reader read_;
  Expressions& to_;
  std::vector<Expr> nodes_{kNothing, kEmpty, kAnything};
};

}  // namespace

std::shared_ptr<Grammar> read_grammar(const Program& program, const Limits& limits) {
  auto expressions = std::make_unique<Expressions>(limits);
  const NodeReader reader(program.nodes, *expressions);
  std::vector<Expr> terminals;
  for (int32_t node : program.terminals) {
    if (node < 0 || static_cast<size_t>(node) >= reader.nodes().size()) {
      fail(ErrorKind::range, "grammar: a terminal: got ", node);
    }
    terminals.push_back(reader.nodes()[node]);
  }
  const auto most_nonterminals = static_cast<int64_t>(program.rules.size());  // each has rules
  const auto count = static_cast<int64_t>(terminals.size());
  std::vector<Rule> rules;
  Reader read(program.rules);
  while (!read.is_at_end()) {
    Rule rule{read.next_in(0, most_nonterminals, "a left side"), {}};
    for (int32_t n = read.next_in(0, INT32_MAX, "a count"); n > 0; n--) {
      rule.right.push_back(read.next_in(static_cast<int32_t>(-count), most_nonterminals, "a symbol"));
    }
    rules.push_back(std::move(rule));
  }
  if (program.start < 0 || program.start >= most_nonterminals) {
    fail(ErrorKind::range, "grammar: the start: got ", program.start);
  }
  std::vector<Expr> plain = plain_texts(*expressions);
  return std::make_shared<Grammar>(std::move(expressions), std::move(terminals), rules, program.start,
                                   std::move(plain), limits);
}

}  // namespace warploop::grammar
