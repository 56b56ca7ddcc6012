// Numbers that stand for native objects in JavaScript. A handle carries a generation, so a stale or invented
// number is refused instead of reaching another object. Plain numbers keep one op call far below a
// microsecond; wrapped objects would cost an unwrap and a type-tag check each.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/error.h"

namespace warploop::bind {

template <class T>
class HandleTable {
 public:
  explicit HandleTable(const char* what) : what_(what) {}

  double add(std::shared_ptr<T> object) {
    size_t index;
    if (free_.empty()) {
      index = slots_.size();
      slots_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    slots_[index].object = std::move(object);
    live_++;
    return static_cast<double>(slots_[index].generation * kIndices + index);
  }

  const std::shared_ptr<T>& get(double handle) const { return slots_[find(handle)].object; }

  std::shared_ptr<T> remove(double handle) {
    const size_t index = find(handle);
    Slot& slot = slots_[index];
    slot.generation++;
    free_.push_back(index);
    live_--;
    return std::exchange(slot.object, nullptr);
  }

  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.object) visit(slot.object);
    }
  }

  size_t live() const { return live_; }
  void clear() { slots_.clear(), free_.clear(), live_ = 0; }

 private:
  static constexpr uint64_t kIndices = 1 << 24;
  struct Slot {
    std::shared_ptr<T> object;
    uint32_t generation = 1;
  };

  size_t find(double handle) const {
    if (handle >= 0 && handle < 9007199254740992.0) {
      const auto bits = static_cast<uint64_t>(handle);
      const size_t index = bits % kIndices;
      if (index < slots_.size() && slots_[index].object && slots_[index].generation == bits / kIndices)
        return index;
    }
    fail(ErrorKind::closed, what_, " is disposed or unknown");
  }

  const char* what_;
  std::vector<Slot> slots_;
  std::vector<size_t> free_;
  size_t live_ = 0;
};

}  // namespace warploop::bind
