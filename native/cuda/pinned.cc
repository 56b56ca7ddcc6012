#include "cuda/pinned.h"

#include <algorithm>

#include "cuda/cuda_check.h"

namespace warploop::cuda {

PinnedMemory::PinnedMemory(size_t bytes) {
  void* data = nullptr;
  require(cudaHostAlloc(&data, bytes, cudaHostAllocDefault), "cudaHostAlloc");
  data_ = static_cast<std::byte*>(data);
}

PinnedMemory::~PinnedMemory() { cudaFreeHost(data_); }

Uploads::~Uploads() {
  for (const Buffer& buffer : buffers_) {
    if (buffer.taken) cudaEventDestroy(buffer.taken);
  }
}

void Uploads::copy(void* device, size_t bytes, const Fill& fill) {
  auto* to = static_cast<std::byte*>(device);
  for (size_t at = 0; at < bytes;) {
    if (!buffers_[current_].memory || buffers_[current_].used == kBufferBytes) next_buffer();
    Buffer& buffer = buffers_[current_];
    const size_t piece = std::min(bytes - at, kBufferBytes - buffer.used);
    std::byte* staged = buffer.memory->data() + buffer.used;
    helpers_.fill(staged, at, piece, fill);
    require(cudaMemcpyAsync(to + at, staged, piece, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
    buffer.used += piece;
    at += piece;
  }
}

/// Goes on to a buffer that the GPU no longer needs.
void Uploads::next_buffer() {
  if (buffers_[current_].memory) {
    require(cudaEventRecord(buffers_[current_].taken, stream_), "cudaEventRecord");
    current_ = (current_ + 1) % kBuffers;
  }
  Buffer& buffer = buffers_[current_];
  if (buffer.memory) {
    require(cudaEventSynchronize(buffer.taken), "cudaEventSynchronize");
  } else {
    require(cudaEventCreateWithFlags(&buffer.taken, cudaEventDisableTiming | cudaEventBlockingSync),
            "cudaEventCreate");
    buffer.memory = std::make_unique<PinnedMemory>(kBufferBytes);
  }
  buffer.used = 0;
}

std::byte* Downloads::take(size_t bytes) {
  bytes = (bytes + kAlign - 1) / kAlign * kAlign;
  const size_t left = kRingBytes - head_ % kRingBytes;
  const uint64_t start = bytes <= left ? head_ : head_ + left;  // a piece does not wrap around
  if (start + bytes - tail_.load(std::memory_order_acquire) > kRingBytes) return nullptr;
  if (!memory_) memory_ = std::make_unique<PinnedMemory>(kRingBytes);
  head_ = start + bytes;
  return memory_->data() + start % kRingBytes;
}

}  // namespace warploop::cuda
