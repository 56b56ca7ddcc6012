// A sequence of commands in one flat buffer: what a stream queues and what a graph replays. Appending copies a small POD;
// nothing is allocated per command once the buffer has grown.
#pragma once
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

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
    const size_t at = buffer_.size();
    buffer_.resize(at + (sizeof(Command) + head.bytes + kAlign - 1) / kAlign * kAlign);
    std::memcpy(buffer_.data() + at, &head, sizeof head);
    std::memcpy(buffer_.data() + at + sizeof head, params, head.bytes);
    count_++;
  }

  /// Calls `visit(const Command&)` in order.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (size_t at = 0; at < buffer_.size();) {
      const auto& command = *reinterpret_cast<const Command*>(buffer_.data() + at);
      at += (sizeof(Command) + command.bytes + kAlign - 1) / kAlign * kAlign;
      visit(command);
    }
  }

  bool empty() const { return buffer_.empty(); }
  size_t count() const { return count_; }
  void clear() { buffer_.clear(), count_ = 0; }
  void swap(CommandList& other) { buffer_.swap(other.buffer_), std::swap(count_, other.count_); }

 private:
  static constexpr size_t kAlign = 16;
  std::vector<std::byte> buffer_;  // operator new aligns to 16, records keep it
  size_t count_ = 0;
};
static_assert(sizeof(Command) % 8 == 0);

}  // namespace warploop
