// The CUDA language and its built-ins for g++. Included through cuda/device/platform.cuh, before any CUDA
// header.
#pragma once
// A plain __shared__ would silently give every thread its own copy; kernels use shared_plan.
#undef __shared__
#define __shared__ _Pragma("GCC error \"use shared_plan instead of __shared__\"")
#define __launch_bounds__(...)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <bit>
#include <cmath>

#include "simt/model.h"
#include "simt/shared_memory.h"

#define WARPLOOP_DEVICE inline

// Built-in functions that have no name in C++.
inline float __uint_as_float(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t __float_as_uint(float value) { return std::bit_cast<uint32_t>(value); }
inline float __int_as_float(int32_t bits) { return std::bit_cast<float>(bits); }
inline int32_t __float_as_int(float value) { return std::bit_cast<int32_t>(value); }
inline int __popc(uint32_t bits) { return std::popcount(bits); }
inline int __clz(int bits) { return std::countl_zero(static_cast<uint32_t>(bits)); }
inline int __ffs(int bits) { return bits ? std::countr_zero(static_cast<uint32_t>(bits)) + 1 : 0; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }

namespace warploop::cuda {

using simt::Site;

template <class Plan>
Plan& shared_plan(Site site = Site::current()) {
  static_assert(alignof(Plan) <= 1024);
  return *static_cast<Plan*>(simt::shared_plan_data(sizeof(Plan), site));
}

inline uint32_t shared_address(const void* p, Site site = Site::current()) {
  return simt::shared_address_of(p, site);
}

}  // namespace warploop::cuda
