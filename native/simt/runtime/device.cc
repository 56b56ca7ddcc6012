// The emulated device: what it is said to be.
#include <cuda.h>

#include <cstdlib>
#include <cstring>

#include "simt/options.h"
#include "simt/runtime/context.h"

namespace warploop::simt::runtime {

int compute_capability() {
  static const int capability = [] {
    const char* text = std::getenv("WARPLOOP_SIMT_CC");
    return text && std::strcmp(text, "80") == 0 ? 80 : 90;
  }();
  return capability;
}

}  // namespace warploop::simt::runtime

using namespace warploop::simt::runtime;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? fault_so_far() : finish(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return finish(cudaErrorInvalidDevice);
  warploop::simt::options();  // a variable that is not understood is an error here, before anything runs
  const bool hopper = compute_capability() >= 90;
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->major = compute_capability() / 10;
  properties->minor = compute_capability() % 10;
  properties->multiProcessorCount = hopper ? 132 : 108;
  size_t free;
  return cudaMemGetInfo(&free, &properties->totalGlobalMem);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

#pragma weak cuTensorMapEncodeTiled  // native/simt has it

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* result) {
  *function = std::strcmp(name, "cuTensorMapEncodeTiled") == 0
                  ? reinterpret_cast<void*>(&cuTensorMapEncodeTiled)
                  : nullptr;
  if (result) *result = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return fault_so_far();
}
