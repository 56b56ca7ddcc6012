// A set of bytes.
#pragma once
#include <array>
#include <cstdint>
#include <functional>

namespace warploop::grammar {

struct ByteSet {
  std::array<uint64_t, 4> words{};

  constexpr bool has(int byte) const { return words[byte >> 6] >> (byte & 63) & 1; }
  constexpr void add(int byte) { words[byte >> 6] |= uint64_t{1} << (byte & 63); }
  constexpr bool is_empty() const { return (words[0] | words[1] | words[2] | words[3]) == 0; }
  friend constexpr bool operator==(const ByteSet&, const ByteSet&) = default;
  friend constexpr ByteSet operator|(ByteSet a, const ByteSet& b) {
    for (int i = 0; i < 4; i++) a.words[i] |= b.words[i];
    return a;
  }
};

}  // namespace warploop::grammar
