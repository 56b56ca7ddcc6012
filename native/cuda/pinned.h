// Page-locked host memory, which the copy engines of a GPU read and write by themselves, and the two ways in
// which a stream uses it: what goes up is copied into it, what comes down is copied out of it.
#pragma once
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cuda/parallel_fill.h"

namespace warploop::cuda {

class PinnedMemory {
 public:
  /// Throws Error(out_of_memory).
  explicit PinnedMemory(size_t bytes);
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
};

/// Host to device. Data passes through a few buffers in turn: while the GPU takes one of them, the next is
/// filled, so a weight file is read and uploaded at the same time. Used by the stream's worker only.
class Uploads {
 public:
  explicit Uploads(cudaStream_t stream) : stream_(stream) {}
  ~Uploads();
  /// `fill` has been called for all bytes when it returns. Throws Error(execution), Error(out_of_memory), and
  /// what `fill` throws.
  void copy(void* device, size_t bytes, const Fill& fill);

 private:
  static constexpr size_t kBufferBytes = 8u << 20;
  static constexpr int kBuffers = 4;
  struct Buffer {
    std::unique_ptr<PinnedMemory> memory;  // allocated when it is first needed
    cudaEvent_t taken = nullptr;           // recorded after the last copy out of it
    size_t used = 0;
  };

  void next_buffer();

  cudaStream_t stream_;
  Buffer buffers_[kBuffers];
  int current_ = 0;
  ParallelFill helpers_;
};

/// Device to host: a ring of bytes that the worker takes pieces of and the completion thread gives back in
/// order.
class Downloads {
 public:
  /// Worker. Null when there is no room now.
  std::byte* take(size_t bytes);
  /// Worker. What has been taken so far.
  uint64_t mark() const { return head_; }
  /// Completion thread. Gives back everything before a mark.
  void give_back(uint64_t mark) { tail_.store(mark, std::memory_order_release); }

 private:
  static constexpr size_t kRingBytes = 8u << 20;
  static constexpr size_t kAlign = 64;

  std::unique_ptr<PinnedMemory> memory_;
  uint64_t head_ = 0;              // bytes taken since the start; modulo kRingBytes the place in the ring
  std::atomic<uint64_t> tail_{0};  // bytes given back
};

}  // namespace warploop::cuda
