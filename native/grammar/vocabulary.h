// The tokens of a tokenizer by their bytes: tries, laid flat in the order of a walk, in which what begins
// with bytes that cannot come is skipped at once.
//
// The layout is that of llguidance's toktrie,
// https://github.com/guidance-ai/llguidance/blob/main/docs/toktrie.md.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "grammar/byte_set.h"

namespace warploop::grammar {

struct TrieNode {
  int32_t token;   // that ends here, -1: none
  int32_t size;    // nodes of the tree below, itself included
  uint16_t depth;  // of its byte: 0 for the first of a token
  uint8_t byte;
};

/// Tokens in one trie; those of equal bytes are in it once, the others in `twins`.
struct Trie {
  std::vector<TrieNode> nodes;
  int depth = 0;  // of its deepest node, and one more
};

class Vocabulary {
 public:
  /// `bytes` of token i are [ends[i - 1], ends[i]); without any, it is never allowed.
  Vocabulary(std::vector<uint8_t> bytes, std::vector<int32_t> ends);

  int32_t size() const { return static_cast<int32_t>(ends_.size()); }
  int32_t words() const { return (size() + 31) / 32; }
  std::span<const uint8_t> bytes_of(int32_t token) const {
    const int32_t begin = token == 0 ? 0 : ends_[token - 1];
    return std::span(bytes_).subspan(begin, ends_[token] - begin);
  }

  /// The tokens that are plain text of a kind (grammar/plain_text.h), kind by kind, each once, and the rest.
  struct Part {
    Trie trie;
    std::vector<uint32_t> mask;  // of all of them, and of the kinds before
  };
  const std::vector<Part>& parts() const { return parts_; }
  /// Sets the bits of a token, and of those with the same bytes.
  void allow(int32_t token, uint32_t* mask) const {
    for (; token >= 0; token = twins_[token]) mask[token >> 5] |= 1u << (token & 31);
  }

 private:
  Part build(std::span<const int32_t> tokens) const;

  std::vector<uint8_t> bytes_;
  std::vector<int32_t> ends_;
  std::vector<int32_t> sorted_;  // by their bytes, the first of equal ones
  std::vector<int32_t> twins_;   // by token: the next one with its bytes, -1: none
  std::vector<Part> parts_;
};

}  // namespace warploop::grammar
