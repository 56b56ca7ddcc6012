// Element types of tensors. The numbers are shared with lib/device/dtype.ts; the order is part of that
// contract.
#pragma once
#include <cstddef>
#include <cstdint>

namespace warploop {

enum class DType : uint8_t { f32, f16, bf16, fp8e4m3, i8, i32, u8, i4 };
inline constexpr int kDTypeCount = 8;

/// Storage only: arithmetic converts to float first.
struct bf16_t {
  uint16_t bits;
};
struct f16_t {
  uint16_t bits;
};

struct fp8e4m3_t {
  uint8_t bits;
};

constexpr int bits_of(DType t) {
  constexpr int kBits[kDTypeCount] = {32, 16, 16, 8, 8, 32, 8, 4};
  return kBits[static_cast<int>(t)];
}

constexpr const char* name_of(DType t) {
  constexpr const char* kNames[kDTypeCount] = {"f32", "f16", "bf16", "fp8e4m3", "i8", "i32", "u8", "i4"};
  return kNames[static_cast<int>(t)];
}

constexpr bool is_float(DType t) { return t == DType::f32 || t == DType::f16 || t == DType::bf16; }

/// What keys and values are kept as besides floats: codes, which a factor beside them turns into values.
constexpr bool is_code(DType t) { return t == DType::i8 || t == DType::fp8e4m3; }

/// Bytes of `count` packed elements (i4 rounds up to a whole byte).
constexpr size_t bytes_of(DType t, size_t count) { return (count * bits_of(t) + 7) / 8; }

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<f16_t> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<bf16_t> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};

}  // namespace warploop
