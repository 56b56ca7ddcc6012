// How a launch ends when the emulator finds a mistake.
#pragma once
#include <string>

#include "core/error.h"
#include "simt/site.h"

namespace warploop::simt {

struct Hex {
  uint64_t value;
};
inline Hex hex(uint64_t value) { return {value}; }
inline std::ostream& operator<<(std::ostream& out, Hex h) {
  const auto flags = out.flags();
  out << "0x" << std::hex << h.value;
  out.flags(flags);
  return out;
}

/// Throws Error(execution) "simt: <kernel>, block (x, y, z), thread t: <operation> at <site>: <text>". It
/// unwinds the stack of the calling thread and leaves simt::run; other threads' stacks are dropped as they
/// are.
[[noreturn]] void fail_launch(const char* operation, Site site, const std::string& text);

template <class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const char* operation, Site site, const Parts&... parts) {
  fail_launch(operation, site, concat(parts...));
}

}  // namespace warploop::simt
