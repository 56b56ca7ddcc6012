// One text that grows token by token: which tokens may come next.
//
// A place of the text has threads: terminals that have begun at some row (grammar/rows.h), and how far they
// are. A byte moves all of them; where terminals end, a row is made and what may follow begins there. So no
// terminal is preferred to another, and a text is accepted if the grammar derives it in any way.
//
// A mask is a walk through the tries of the vocabulary. Tokens that are plain text are not walked through
// where a terminal takes all such text: their masks are ready (slices; llguidance, docs/optimizations.md).
#pragma once
#include <optional>

#include "grammar/rows.h"
#include "grammar/vocabulary.h"

namespace warploop::grammar {

class Matcher {
 public:
  Matcher(std::shared_ptr<Grammar> grammar, std::shared_ptr<const Vocabulary> vocabulary);

  const Vocabulary& vocabulary() const { return *vocabulary_; }
  /// Finds what fill_mask and forced_bytes are going to say. May run on any thread, alone of this matcher.
  void prepare(size_t most_forced);
  /// The same, unless it takes long: false, then.
  bool prepare_quickly(size_t most_forced);
  /// Sets the bit of each token that may come next and clears the others; `mask` has vocabulary.words()
  /// words. Ends of the text are not among them: see is_accepting. Returns whether there is any.
  bool fill_mask(uint32_t* mask);
  /// Adds a token. Returns false, with nothing changed, if it may not come.
  bool accept(int32_t token);
  /// Takes back the last `count` tokens.
  void rollback(int32_t count);
  /// Whether the text is complete.
  bool is_accepting();
  /// The bytes that must come next, at most `most`: none where there is a choice, and the end is one.
  std::vector<uint8_t> forced_bytes(size_t most);

 private:
  struct Thread {
    TerminalState state;
    int32_t row;
  };
  /// A place of the text.
  struct Mark {
    int32_t first, count;  // of its threads
    int32_t rows;          // that there are
    bool has_row;          // the last of them is here
  };

  /// A place of a walk.
  struct Place {
    Mark mark;
    /// The state of its only thread, while none of its terminals has ended on the way: `mark` is not made
    /// then. kDead: there are others.
    TerminalState lone;
  };

  /// What comes behind the last token.
  struct Next {
    size_t most_forced = 0;
    std::vector<uint8_t> forced;
    std::vector<uint32_t> mask;
  };

  /// The place behind the last token, and before the first, which is found when it is asked for: it may take
  /// long. Like all below, with the grammar's mutex and fuel at hand.
  Mark here();
  void find_next(size_t most_forced);
  std::vector<uint8_t> find_forced(size_t most);
  void find_mask(uint32_t* mask);
  /// The place behind one more byte; its threads are put behind all others. False: it may not come.
  bool step(const Mark& from, uint8_t byte, Mark* to);
  void walk(const Trie& trie, uint32_t* mask);
  /// Sets the bits of the tokens that may come at a place, and clears the others.
  void allow_from(const Mark& here, uint32_t* mask);
  /// The same in a grammar of a single terminal, where the mask of a state may be known.
  void allow_known(const Mark& here, uint32_t* mask);
  /// Gives the grammar the fuel that the text has; what is left comes back with the end of the call.
  auto refuelled();
  /// Forgets what was tried behind a place.
  void return_to(const Mark& place);
  bool is_accepting(const Mark& mark) const { return mark.has_row && rows_->accepts(mark.rows - 1); }

  std::shared_ptr<Grammar> grammar_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  int64_t tank_;
  std::optional<Rows> rows_;  // once the text has begun
  Next next_;                 // its memory stays from place to place
  bool is_prepared_ = false;
  std::vector<Thread> threads_;
  std::vector<Mark> marks_;            // before the first token, and behind each
  std::vector<Place> path_;            // of a walk, by depth
  std::vector<Rows::Ending> endings_;  // of a step
};

}  // namespace warploop::grammar
