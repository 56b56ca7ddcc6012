// One allocation of device memory. Shared ownership is internal: handles, pending releases and recorded
// graphs each hold a reference, so an address inside a queued command stays valid until the stream has passed
// it.
#pragma once
#include <cstddef>
#include <memory>

namespace warploop {

class Memory {
 public:
  Memory(void* data, size_t bytes) : data_(data), bytes_(bytes) {}
  virtual ~Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};
using MemoryRef = std::shared_ptr<Memory>;

}  // namespace warploop
