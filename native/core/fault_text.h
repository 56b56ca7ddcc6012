// The texts of faults that name numbers, filled in where they are reported: the CPU's at once, a GPU's on the
// host.
#pragma once
#include <cstdint>
#include <string>

namespace warploop {

struct FaultNumbers {
  int64_t value = 0, limit = 0, index = 0, column = 0;
};

/// `text` with the numbers in place of "{value}", "{limit}", "{index}" and "{column}", each once; and for
/// "{index:a|b|c}" the word of that index, counted from 0.
inline std::string fault_text(std::string text, const FaultNumbers& numbers) {
  const auto put = [&text](const std::string& name, int64_t number) {
    const size_t at = text.find(name);
    if (at != std::string::npos) text.replace(at, name.size(), std::to_string(number));
  };
  const std::string list = "{index:";
  if (const size_t at = text.find(list); at != std::string::npos) {
    const size_t end = text.find('}', at);
    size_t word = at + list.size();
    for (int64_t i = 0; i < numbers.index; i++) word = text.find('|', word) + 1;
    text.replace(at, end + 1 - at, text.substr(word, text.find_first_of("|}", word) - word));
  }
  put("{value}", numbers.value);
  put("{limit}", numbers.limit);
  put("{index}", numbers.index);
  put("{column}", numbers.column);
  return text;
}

}  // namespace warploop
