// A sequence of commands in one flat buffer: what a stream queues and what a graph replays. Appending copies
// a small POD; nothing is allocated per command once the buffer has grown.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "core/op.h"

namespace warploop {

/// Text of an op's tensors ("x [4, 256] f32"), for errors that happen while it runs.
using DescribeFn = std::string (*)(const void* params);

struct Command {
  RunFn run;
  DescribeFn describe;
  OpId op;
  uint32_t bytes;  // size of the params that follow
  const void* params() const { return this + 1; }
};

class CommandList {
 public:
  void append(const Command& head, const void* params) {
    const size_t bytes = record_bytes(head);
    if (capacity_ - size_ < bytes) grow(bytes);
    std::byte* record = buffer_.get() + size_;
    std::memcpy(record, &head, sizeof head);
    std::memcpy(record + sizeof head, params, head.bytes);
    size_ += bytes;
    count_++;
  }

  /// Calls `visit(const Command&)` in order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (size_t at = 0; at < size_;) {
      const auto& command = *reinterpret_cast<const Command*>(buffer_.get() + at);
      at += record_bytes(command);
      visit(command);
    }
  }

  bool empty() const { return size_ == 0; }
  size_t count() const { return count_; }
  void clear() { size_ = 0, count_ = 0; }
  void swap(CommandList& other) {
    buffer_.swap(other.buffer_);
    std::swap(capacity_, other.capacity_);
    std::swap(size_, other.size_);
    std::swap(count_, other.count_);
  }

 private:
  static constexpr size_t kAlign = 16;

  static size_t record_bytes(const Command& c) {
    return (sizeof(Command) + c.bytes + kAlign - 1) / kAlign * kAlign;
  }

  void grow(size_t needed) {
    const size_t capacity = std::max(2 * capacity_, size_ + std::max<size_t>(needed, 4096));
    auto bigger = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (size_ > 0) std::memcpy(bigger.get(), buffer_.get(), size_);
    buffer_ = std::move(bigger);
    capacity_ = capacity;
  }

  std::unique_ptr<std::byte[]> buffer_;  // operator new aligns to 16, records keep it
  size_t capacity_ = 0;
  size_t size_ = 0;
  size_t count_ = 0;
};
static_assert(sizeof(Command) % 8 == 0);

}  // namespace warploop
