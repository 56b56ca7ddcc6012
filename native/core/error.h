// The one exception type of native code. The binding turns `kind` into a JavaScript error class and code;
// nothing else may leave native code, and nothing reachable from user input aborts.
#pragma once
#include <cstddef>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace warploop {

enum class ErrorKind { type, range, closed, device, out_of_memory, execution };

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

/// Memory of a device does not suffice.
class OutOfMemory : public Error {
 public:
  OutOfMemory(const std::string& device, size_t needed, size_t free)
      : Error(ErrorKind::out_of_memory,
              concat(device, ": cannot allocate ", needed, " bytes; ", free, " bytes are free")),
        needed_(needed),
        free_(free) {}
  size_t needed() const { return needed_; }
  size_t free() const { return free_; }

 private:
  size_t needed_, free_;
};

/// A kernel met data that it cannot use (an id or page out of range): poisons the stream.
template <class... Parts>
[[noreturn]] void fail_execution(const Parts&... parts) {
  throw Error(ErrorKind::execution, concat(parts...));
}

}  // namespace warploop
