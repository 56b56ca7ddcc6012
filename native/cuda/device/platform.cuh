// What makes one .cu source compile twice: with nvcc for a GPU, and with g++ for simt (native/simt), which
// runs it on a CPU. Every device header starts here.
//
// Kernels use the functions of this folder and the plain built-ins threadIdx, blockIdx, blockDim and gridDim;
// never asm, an intrinsic, __shared__ or <<<>>>. Functions that a kernel calls are WARPLOOP_DEVICE or
// constexpr.
#pragma once
#include <cstddef>
#include <cstdint>

#ifdef WARPLOOP_SIMT
#include "simt/device/platform.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define WARPLOOP_DEVICE __device__ __forceinline__

namespace warploop::cuda {

/// The block's shared memory as one struct: the only way to get any. `launch` reserves the bytes.
template <class Plan>
WARPLOOP_DEVICE Plan& shared_plan() {
  static_assert(alignof(Plan) <= 1024);
  extern __shared__ __align__(1024) unsigned char warploop_shared[];
  return *reinterpret_cast<Plan*>(warploop_shared);
}

/// A shared-memory address as instructions take it.
WARPLOOP_DEVICE uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

}  // namespace warploop::cuda
#endif
