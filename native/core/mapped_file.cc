#include "core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace warploop {

MappedFile::MappedFile(const std::string& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail(ErrorKind::type, path, ": cannot open: ", std::strerror(errno));
  struct stat info {};
  if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd_);
    fail(ErrorKind::type, path, ": not a regular file");
  }
  bytes_ = static_cast<size_t>(info.st_size);
  if (bytes_ == 0) return;
  void* mapped = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, fd_, 0);
  if (mapped == MAP_FAILED) {
    const int reason = errno;
    ::close(fd_);
    fail(ErrorKind::type, path, ": cannot map ", bytes_, " bytes: ", std::strerror(reason));
  }
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), bytes_);
  ::close(fd_);
}

const std::byte* MappedFile::range(size_t offset, size_t count) const {
  struct stat info {};
  const bool readable = ::fstat(fd_, &info) == 0 && static_cast<size_t>(info.st_size) >= bytes_;
  if (!readable || offset > bytes_ || count > bytes_ - offset) {
    fail_execution(path_, ": cannot read ", count, " bytes at ", offset, ": the file has ", info.st_size,
                   " bytes");
  }
  return data_ + offset;
}

}  // namespace warploop
