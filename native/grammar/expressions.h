// Regular expressions over bytes, with intersection and complement, matched by derivatives: what is left of
// an expression behind a byte is another expression. Equal expressions are one, so that derivatives are
// states of an automaton that is built as far as texts lead into it.
//
// Brzozowski, Derivatives of Regular Expressions, JACM 11 (1964); Owens, Reppy, Turon, Regular-expression
// derivatives re-examined, JFP 19 (2009).
#pragma once
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/byte_set.h"
#include "grammar/limits.h"

namespace warploop::grammar {

/// An expression; equal ones have equal numbers.
using Expr = int32_t;

inline constexpr Expr kNothing = 0;   // matches no text
inline constexpr Expr kEmpty = 1;     // matches the empty text
inline constexpr Expr kAnything = 2;  // matches every text
inline constexpr int32_t kUnbounded = -1;

class Expressions {
 public:
  explicit Expressions(const Limits& limits);

  /// What everything that reads or makes expressions may still do.
  Fuel& fuel() { return fuel_; }

  Expr bytes(const ByteSet& set);
  Expr concat(Expr first, Expr then);
  Expr either(std::vector<Expr> parts);
  Expr both(std::vector<Expr> parts);
  Expr complement(Expr of);
  /// `of` at least `min` and at most `max` times.
  Expr repeat(Expr of, int32_t min, int32_t max);

  bool is_nullable(Expr of) const { return nodes_[of].nullable; }
  /// Whether it matches no text at all.
  bool is_void(Expr of);

  /// Bytes that no expression tells apart are one class. No more byte sets may come after it.
  void close_classes();
  int num_classes() const { return static_cast<int>(representatives_.size()); }
  int class_of(uint8_t byte) const { return class_of_[byte]; }
  /// What is left behind a byte of the class.
  Expr derivative(Expr of, int byte_class);

 private:
  enum class Kind : uint8_t { nothing, empty, bytes, concat, either, both, complement, repeat };
  struct Node {
    Kind kind;
    bool nullable;
    bool is_logical;       // has an intersection or a complement: without being kNothing it may match nothing
    int32_t first, count;  // of its parts, or its byte set
    int32_t min, max;      // of repeat
    int32_t derivatives;   // where its row begins; -1: there is none yet
    int32_t depth = 0;     // of what it consists of; in sequences of the parts, however many
  };

  Expr add(Node node, std::span<const Expr> parts);
  /// concat where `head` is no sequence.
  Expr prepend(Expr head, Expr then);
  std::span<const Expr> parts_of(Expr of) const {
    const Node& node = nodes_[of];
    if (node.count == 0) return {};  // `first` is no part
    return {parts_.data() + node.first, static_cast<size_t>(node.count)};
  }
  /// Parts of parts of the same kind, sorted, each once.
  void flatten(Kind kind, std::vector<Expr>& parts);
  /// r* from among parts that all have to match where r{a,b} is one of them.
  void drop_wider_repeats(std::vector<Expr>& parts);
  Expr compute_derivative(Expr of, int byte_class);
  Expr derive_sequence(Expr of, int byte_class);

  Limits limits_;
  Fuel fuel_;
  std::vector<Node> nodes_;
  std::vector<Expr> parts_;
  std::vector<ByteSet> sets_;
  std::unordered_multimap<uint64_t, Expr> by_hash_;
  std::array<uint8_t, 256> class_of_{};
  std::vector<uint8_t> representatives_;
  std::vector<Expr> derivatives_;
  std::unordered_map<Expr, bool> voids_;
};

}  // namespace warploop::grammar
