// Element types on the device: conversion to and from f32, packed pairs, 16-byte vectors.
#pragma once
#include <cmath>
#include <type_traits>

#include "core/dtype.h"
#include "cuda/device/platform.cuh"

namespace warploop::cuda {

using bf16 = __nv_bfloat16;
using f16 = __half;

/// Calls body(T{}) with T = float, bf16 or f16. Host code: it chooses the instance of a kernel.
template <class Body>
void dispatch_float(DType dtype, Body&& body) {
  if (dtype == DType::f32) return body(float{});
  if (dtype == DType::bf16) return body(bf16{});
  return body(f16{});
}
template <class T>
inline constexpr DType kDTypeOf = std::is_same_v<T, float>  ? DType::f32
                                  : std::is_same_v<T, bf16> ? DType::bf16
                                                            : DType::f16;

WARPLOOP_DEVICE float to_float(float v) { return v; }
WARPLOOP_DEVICE float to_float(bf16 v) { return __bfloat162float(v); }
WARPLOOP_DEVICE float to_float(f16 v) { return __half2float(v); }

/// Rounds to nearest even; beyond the range of f16: infinity.
template <class T>
WARPLOOP_DEVICE T from_float(float v) {
  if constexpr (std::is_same_v<T, float>) {
    return v;
  } else if constexpr (std::is_same_v<T, bf16>) {
    return __float2bfloat16_rn(v);
  } else {
    return __float2half_rn(v);
  }
}

/// What is left of v once it has been stored as `dtype`, a float dtype.
WARPLOOP_DEVICE float rounded_to(DType dtype, float v) {
  if (dtype == DType::bf16) return to_float(from_float<bf16>(v));
  if (dtype == DType::f16) return to_float(from_float<f16>(v));
  return v;
}

}  // namespace warploop::cuda

#ifdef WARPLOOP_SIMT
#include "simt/device/dtype.h"
#else

namespace warploop::cuda {

/// Two values rounded to T (bf16 | f16) in one register, `low` in the low half: the operand form of mma.
template <class T>
WARPLOOP_DEVICE uint32_t pack_pair(float low, float high) {
  uint32_t pair;
  if constexpr (std::is_same_v<T, bf16>) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  }
  return pair;
}

/// a b + c of the halves of packed pairs, rounded once to T; subnormal numbers stay. PTX ISA 9.7.4.4 (fma).
template <class T>
WARPLOOP_DEVICE uint32_t fma_pair(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  if constexpr (std::is_same_v<T, bf16>) {
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  } else {
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  }
  return d;
}

/// 2^x, relative error about 2^-22; 2^-inf = 0. PTX ISA 9.7.3.21 (ex2).
WARPLOOP_DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 1 / x, relative error about 2^-23; 1 / inf = 0, 1 / 0 = inf. PTX ISA 9.7.3.14 (rcp).
WARPLOOP_DEVICE float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// 16 bytes from global memory. `p` aligned to 16.
WARPLOOP_DEVICE uint4 load_16(const void* p) { return *static_cast<const uint4*>(p); }
/// The same for data that is read once (weights, the KV cache): it leaves L1 to others. Not for memory that
/// this kernel writes.
WARPLOOP_DEVICE uint4 load_16_once(const void* p) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}
WARPLOOP_DEVICE void store_16(void* p, uint4 v) { *static_cast<uint4*>(p) = v; }
/// 8 bytes. `p` aligned to 8.
WARPLOOP_DEVICE uint2 load_8(const void* p) { return *static_cast<const uint2*>(p); }
WARPLOOP_DEVICE void store_8(void* p, uint2 v) { *static_cast<uint2*>(p) = v; }
/// Starts to bring the line at `p` into L2, for a load that comes later. PTX ISA 9.7.9.15 (prefetch).
WARPLOOP_DEVICE void prefetch_l2(const void* p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }

}  // namespace warploop::cuda
#endif

namespace warploop::cuda {

/// The halves of a packed pair.
template <class T>
WARPLOOP_DEVICE float low_of(uint32_t pair) {
  if constexpr (std::is_same_v<T, bf16>) {
    return __uint_as_float(pair << 16);
  } else {
    return __half2float(__ushort_as_half(static_cast<unsigned short>(pair & 0xffffu)));
  }
}
template <class T>
WARPLOOP_DEVICE float high_of(uint32_t pair) {
  if constexpr (std::is_same_v<T, bf16>) {
    return __uint_as_float(pair & 0xffff0000u);
  } else {
    return __half2float(__ushort_as_half(static_cast<unsigned short>(pair >> 16)));
  }
}

}  // namespace warploop::cuda
