// How a kernel says that data on the device is unusable (an id, a page or a slot out of range): it raises a
// fault (device/fault.cuh) and goes on without touching memory outside its tensors. The stream reads the
// record with its next result and is poisoned.
#pragma once
#include <cstdint>

namespace warploop::cuda {

/// One per stream, in device memory. The first fault stays.
struct FaultRecord {
  uint32_t raised;   // 0: none
  const char* op;    // host address of a literal; the device only copies it
  const char* text;  // host address of a literal, may hold "{value}", "{limit}", "{index}" and "{column}"
  long long value;
  long long limit;
  long long index;
  long long column;
};

/// A kernel argument: where and what to report.
struct FaultSite {
  FaultRecord* record;
  const char* op;
  const char* text;
};

}  // namespace warploop::cuda
