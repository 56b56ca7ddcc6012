// Where in a kernel something was called. Every emulated instruction takes its caller's place as a default
// argument.
#pragma once
#include <cstring>
#include <source_location>
#include <string>

namespace warploop::simt {

using Site = std::source_location;

inline bool same_place(const Site& a, const Site& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

/// "ops/add/add.cu:41:3".
inline std::string place(const Site& site) {
  const char* path = std::strstr(site.file_name(), "native/");
  return (path ? path + 7 : site.file_name()) +
         (':' + std::to_string(site.line()) + ':' + std::to_string(site.column()));
}

}  // namespace warploop::simt
