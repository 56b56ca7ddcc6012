// What lies where in the scratch memory of a stream: workspace, counters, a guard, fault record. No kernel
// may touch the guard; the emulated GPU of the tests looks after every command.
#pragma once
#include <cstddef>
#include <cstdint>

#include "cuda/cuda_context.h"
#ifdef WARPLOOP_SIMT
#include "simt/runtime/workspace_parts.h"
#endif

namespace warploop::cuda {

struct Scratch {
  static constexpr size_t kGuardBytes = 4096;
  static constexpr unsigned char kGuard = 0x5a;  // not 0: a counter that is used and left at 0 shows, too

  size_t workspace_bytes = kWorkspaceBytes;
  size_t num_counters = kCounters;

#ifdef WARPLOOP_SIMT
  size_t counters_at() const { return workspace_bytes + simt::runtime::WorkspaceParts::kSpace; }
#else
  size_t counters_at() const { return workspace_bytes; }
#endif
  size_t counter_bytes() const { return num_counters * sizeof(uint32_t); }
  size_t fault_at() const { return (counters_at() + counter_bytes() + kGuardBytes + 255) / 256 * 256; }
  size_t bytes() const { return fault_at() + sizeof(FaultRecord); }
};

#ifdef WARPLOOP_SIMT
/// The sizes of the streams that are created from now on.
Scratch& scratch_of_new_streams();
#endif

}  // namespace warploop::cuda
