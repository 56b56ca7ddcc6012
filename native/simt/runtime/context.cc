#include "simt/runtime/context.h"

#include <map>

namespace warploop::simt::runtime {

namespace {

thread_local cudaError_t last_error = cudaSuccess;

std::mutex text_mutex;
std::string* fault_text = nullptr;  // never freed: callers may hold on to what cudaGetErrorString gave them

}  // namespace

Context& context() {
  static auto* instance = new Context;
  return *instance;
}

cudaError_t finish(cudaError_t status) {
  if (const cudaError_t fault = context().sticky.load()) status = fault;
  if (status != cudaSuccess) last_error = status;
  return status;
}

cudaError_t fault_so_far() { return finish(cudaSuccess); }

void set_fault(cudaError_t status, const std::string& text) {
  {
    std::lock_guard lock(text_mutex);
    if (context().sticky.load() != cudaSuccess) return;  // the first one stays
    fault_text = new std::string("unspecified launch failure: " + text);
  }
  context().sticky.store(status);
}

void clear_fault() { context().sticky.store(cudaSuccess); }

}  // namespace warploop::simt::runtime

using namespace warploop::simt::runtime;

cudaError_t cudaGetLastError() {
  const cudaError_t fault = context().sticky.load();
  const cudaError_t status = fault != cudaSuccess ? fault : last_error;
  last_error = cudaSuccess;
  return status;
}

const char* cudaGetErrorName(cudaError_t status) {
  static const std::map<cudaError_t, const char*> names = {
      {cudaSuccess, "cudaSuccess"},
      {cudaErrorInvalidValue, "cudaErrorInvalidValue"},
      {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation"},
      {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration"},
      {cudaErrorInvalidDevice, "cudaErrorInvalidDevice"},
      {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction"},
      {cudaErrorLaunchFailure, "cudaErrorLaunchFailure"},
      {cudaErrorIllegalState, "cudaErrorIllegalState"},
      {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported"},
  };
  const auto found = names.find(status);
  return found == names.end() ? "unknown error" : found->second;
}

const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorInvalidDeviceFunction:
      return "invalid device function";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorLaunchFailure: {
      std::lock_guard lock(text_mutex);
      return fault_text ? fault_text->c_str() : "unspecified launch failure";
    }
    default:
      return "unknown error";
  }
}
