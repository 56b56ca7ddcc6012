// A weight file mapped read-only into memory. It is a source to copy from on a stream's worker, never a
// tensor: weights are copied (and packed) once at load.
#pragma once
#include <cstddef>
#include <string>

namespace warploop {

class MappedFile {
 public:
  /// Throws Error(type) with the operating system's text when the file cannot be opened or mapped.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  size_t bytes() const { return bytes_; }
  /// The bytes [offset, offset + count). Throws Error(execution) when they are outside the file, also when
  /// the file was truncated since it was opened (reading a mapping beyond the end would kill the process).
  const std::byte* range(size_t offset, size_t count) const;

 private:
  std::string path_;
  int fd_ = -1;
  const std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace warploop
