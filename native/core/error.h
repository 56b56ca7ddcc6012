// The one exception type of native code. The binding turns `kind` into a JavaScript error class and code;
// nothing else may leave native code, and nothing reachable from user input aborts.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace warploop {

enum class ErrorKind { type, range, closed, out_of_memory, execution };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// Joins its arguments with operator<<.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream s;
  (s << ... << parts);
  return s.str();
}

template <class... Parts>
[[noreturn]] void fail(ErrorKind kind, const Parts&... parts) {
  throw Error(kind, concat(parts...));
}

/// A kernel met data that it cannot use (an id or page out of range): poisons the stream.
template <class... Parts>
[[noreturn]] void fail_execution(const Parts&... parts) {
  throw Error(ErrorKind::execution, concat(parts...));
}

}  // namespace warploop
