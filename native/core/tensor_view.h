// A tensor as ops see it: a pointer with a shape. POD, so that Params structs that hold views can be copied
// into a command list byte by byte. It owns nothing; the memory behind it lives until the stream has drained
// (see memory.h).
#pragma once
#include <cstdint>

#include "core/dtype.h"

namespace warploop {

inline constexpr int kMaxRank = 4;

struct TensorView {
  void* data;                 // nullptr: an optional tensor that is absent
  int64_t sizes[kMaxRank];    // outermost first; unused entries are 1
  int64_t strides[kMaxRank];  // in elements; unused entries are 0
  DType dtype;
  uint8_t rank;

  constexpr explicit operator bool() const { return data != nullptr; }
  constexpr int64_t size(int axis) const { return sizes[axis < 0 ? axis + rank : axis]; }
  constexpr int64_t stride(int axis) const { return strides[axis < 0 ? axis + rank : axis]; }
  constexpr int64_t numel() const { return sizes[0] * sizes[1] * sizes[2] * sizes[3]; }
  template <class T>
  constexpr T* as() const {
    return static_cast<T*>(data);
  }
};

}  // namespace warploop
