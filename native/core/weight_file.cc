#include "core/weight_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace warploop {

namespace {
constexpr size_t kMaxRead = 1u << 30;  // one call of the operating system reads less than 2 GiB
}  // namespace

WeightFile::WeightFile(int fd, std::string path)
    : path_(std::move(path)), fd_(::fcntl(fd, F_DUPFD_CLOEXEC, 0)) {
  if (fd_ < 0) fail(ErrorKind::type, path_, ": not an open file: ", std::strerror(errno));
  struct stat info {};
  if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd_);
    fail(ErrorKind::type, path_, ": not a regular file");
  }
}

WeightFile::~WeightFile() { ::close(fd_); }

void WeightFile::read(std::byte* to, size_t offset, size_t count) const {
  for (size_t done = 0; done < count;) {
    const size_t piece = std::min(count - done, kMaxRead);
    const ssize_t got = ::pread(fd_, to + done, piece, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      fail_execution(path_, ": cannot read at byte ", offset + done, ": ", std::strerror(errno));
    }
    if (got == 0) {
      fail_execution(path_, ": the file has become shorter: expected ", count, " bytes at byte ", offset,
                     ", got ", done);
    }
    done += static_cast<size_t>(got);
  }
}

}  // namespace warploop
