// The one way to start a kernel, the same under nvcc and under simt.
#pragma once
#include <cuda_runtime.h>

#include "cuda/cuda_check.h"
#include "cuda/cuda_context.h"
#include "cuda/device/predecessors.cuh"
#ifdef WARPLOOP_SIMT
#include "simt/launch.h"
#endif
#if defined(WARPLOOP_TRAP) && defined(__CUDACC__)
#include "cuda/device/stuck_barrier.cuh"
#endif

namespace warploop::cuda {

struct LaunchShape {
  dim3 grid;
  int threads;
  size_t shared_bytes = 0;  // sizeof the kernel's shared plan
  int cluster = 1;          // blocks along x that form a cluster (sm_90)
  int blocks = 1;           // of a multiprocessor, as the launch bounds say of a kernel that moves registers
};

/// Whether what runs of `kernel` here has been compiled for a GPU on which it can wait; for newer ones it may
/// come from the PTX of an older one.
template <auto kernel>
bool can_wait() {
  static const bool can = [] {
    cudaFuncAttributes attributes{};
    require(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)),
            "cudaFuncGetAttributes");
    return attributes.ptxVersion >= 90;
  }();
  return can;
}

/// Starts `kernel(arguments...)` on the stream. An empty grid starts nothing. Throws Error(execution).
template <auto kernel, class... Arguments>
void launch(const CudaContext& context, const LaunchShape& shape, const Arguments&... arguments) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  context.note.launches++;
  if (shape.shared_bytes > 48u << 10) {  // more has to be asked for, once per device; again costs little
    require(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                 cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shape.shared_bytes)),
            "cudaFuncSetAttribute");
  }
  cudaLaunchAttribute attributes[2]{};
  unsigned num_attributes = 0;
  if (shape.cluster > 1) {
    attributes[num_attributes].id = cudaLaunchAttributeClusterDimension;
    attributes[num_attributes++].val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
  }
  if (context.overlaps && can_wait<kernel>()) {  // behind a copy it changes nothing; a graph keeps it
    attributes[num_attributes].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[num_attributes++].val.programmaticStreamSerializationAllowed = 1;
  }
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = dim3(static_cast<unsigned>(shape.threads));
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = context.stream;
  config.attrs = attributes;
  config.numAttrs = num_attributes;
#ifdef WARPLOOP_SIMT
  simt::register_kernel<kernel>(shape.blocks);
#endif
#if defined(WARPLOOP_TRAP) && defined(__CUDACC__)
  static StuckBarrier* const record = new_stuck_barrier(__PRETTY_FUNCTION__);
  require(
      cudaMemcpyToSymbolAsync(stuck_state, &record, sizeof record, 0, cudaMemcpyHostToDevice, context.stream),
      "cudaMemcpyToSymbolAsync");
#endif
  require(cudaLaunchKernelEx(&config, kernel, arguments...), "cudaLaunchKernelEx");
}

}  // namespace warploop::cuda
