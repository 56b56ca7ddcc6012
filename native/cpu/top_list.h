// The best few of a sequence, kept sorted by insertion: for lists so short that a heap or a sort would not
// pay.
#pragma once
#include <cstdint>

namespace warploop::cpu::WARPLOOP_ISA {

/// Holds at most `capacity` (value, id) pairs in caller-owned arrays, best first. Offered in ascending order
/// of id, equal values stay in that order. NaN must not be offered.
class TopList {
 public:
  TopList(float* values, int32_t* ids, int64_t capacity) : values_(values), ids_(ids), capacity_(capacity) {}

  void offer(float value, int32_t id) {
    if (size_ == capacity_ && !(size_ > 0 && value > values_[size_ - 1])) return;
    int64_t at = size_ < capacity_ ? size_++ : size_ - 1;
    for (; at > 0 && value > values_[at - 1]; at--) {
      values_[at] = values_[at - 1];
      ids_[at] = ids_[at - 1];
    }
    values_[at] = value;
    ids_[at] = id;
  }

  int64_t size() const { return size_; }
  bool full() const { return size_ == capacity_; }
  /// The worst value held; only of a list that holds one.
  float last() const { return values_[size_ - 1]; }

 private:
  float* values_;
  int32_t* ids_;
  int64_t capacity_;
  int64_t size_ = 0;
};

}  // namespace warploop::cpu::WARPLOOP_ISA
