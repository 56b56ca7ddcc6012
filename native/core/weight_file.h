// A weight file as a source of bytes: read at an offset into memory that the reader owns. Not mapped, because
// a file that is cut while it is mapped kills the process that reads it.
#pragma once
#include <cstddef>
#include <string>

namespace warploop {

class WeightFile {
 public:
  /// Shares the open file behind `fd`, which stays the caller's: whoever puts another file under the name
  /// does not change what is read. `path` is for messages. Throws Error(type) for what is no regular file.
  WeightFile(int fd, std::string path);
  ~WeightFile();
  WeightFile(const WeightFile&) = delete;
  WeightFile& operator=(const WeightFile&) = delete;

  /// Reads the bytes [offset, offset + count) to `to`. Several threads may read at once. Throws
  /// Error(execution) that names file and offset when the file ends before, or cannot be read.
  void read(std::byte* to, size_t offset, size_t count) const;

 private:
  std::string path_;
  int fd_;
};

}  // namespace warploop
