#include "simt/options.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace warploop::simt {
namespace {

uint64_t number(const char* name, uint64_t otherwise, uint64_t least, uint64_t most) {
  const char* text = std::getenv(name);
  if (!text) return otherwise;
  char* end = nullptr;
  errno = 0;
  const uint64_t value = std::strtoull(text, &end, 10);
  if (end == text || *end || errno || *text == '-' || value < least || value > most) {
    fail(ErrorKind::range, name, ": expected an integer from ", least, " to ", most, ", got \"", text, "\"");
  }
  return value;
}

/// The index of the variable's value among `words`.
template <int n>
int choice(const char* name, int otherwise, const char* const (&words)[n]) {
  const char* text = std::getenv(name);
  if (!text) return otherwise;
  for (int i = 0; i < n; i++) {
    if (std::strcmp(text, words[i]) == 0) return i;
  }
  std::string known;
  for (const char* word : words) known += (known.empty() ? "" : ", ") + std::string(word);
  fail(ErrorKind::range, name, ": expected one of ", known, ", got \"", text, "\"");
}

Options read_environment() {
  Options o;
  o.seed = number("WARPLOOP_SIMT_SEED", o.seed, 0, UINT64_MAX);
  o.schedule = Schedule{
      choice("WARPLOOP_SIMT_SCHEDULE", static_cast<int>(o.schedule), {"fifo", "random", "priority"})};
  o.async = Landing{choice("WARPLOOP_SIMT_ASYNC", static_cast<int>(o.async), {"early", "late", "random"})};
  o.poison = number("WARPLOOP_SIMT_POISON", o.poison, 0, 1) != 0;
  o.resident = static_cast<int>(number("WARPLOOP_SIMT_RESIDENT", static_cast<uint64_t>(o.resident), 1, 256));
  return o;
}

}  // namespace

const Options& options() {
  static const Options instance = read_environment();
  return instance;
}

}  // namespace warploop::simt
