// The parts of a stream's workspace that an op takes, apart from each other: each ends at memory that
// cannot be touched while the op runs, and all of it is poison again when the next op begins.
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <vector>

namespace warploop::simt::runtime {

class WorkspaceParts {
 public:
  /// What `place` needs besides the bytes of the parts.
  static constexpr size_t kSpace = 1u << 20;

  /// `memory`: device memory for the parts of one op, those of the largest workspace and kSpace.
  WorkspaceParts(cudaStream_t stream, std::byte* memory, size_t bytes)
      : stream_(stream), memory_(memory), bytes_(bytes), next_(memory) {}

  /// A further part of the op whose kernels are launched next.
  std::byte* place(size_t bytes, size_t align);
  /// Behind the last kernel that uses them: looks whether it has stayed inside the parts, and takes them
  /// back.
  void finish();

 private:
  struct Part {
    std::byte* begin;
    size_t bytes;
    std::byte* guard;  // a page; what lies between it and the part is filled
  };

  cudaStream_t stream_;
  std::byte* memory_;
  size_t bytes_;
  std::byte* next_;  // a page or the beginning
  std::vector<Part> parts_;
};

}  // namespace warploop::simt::runtime
