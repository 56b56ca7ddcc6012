// Errors of the CUDA runtime as errors of ours.
#pragma once
#include <cuda_runtime_api.h>

#include "core/error.h"
#include "cuda/stuck_barrier.h"

namespace warploop::cuda {

/// Throws Error(execution), or Error(out_of_memory), with the call that failed and what CUDA says about it.
inline void require(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  const ErrorKind kind =
      status == cudaErrorMemoryAllocation ? ErrorKind::out_of_memory : ErrorKind::execution;
  fail(kind, call, ": ", cudaGetErrorString(status), " (", cudaGetErrorName(status), ")",
       stuck_barrier_text());
}

}  // namespace warploop::cuda
