// What a CUDA kernel's launcher gets besides its Params. All but the note is fixed for the stream's life,
// so a recorded graph may keep it.
#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "core/op.h"
#include "core/trace.h"
#include "cuda/fault.h"

#ifdef WARPLOOP_SIMT
namespace warploop::simt::runtime {
class WorkspaceParts;
}
#endif

namespace warploop::cuda {

class KernelChoice;

/// Scratch of one op: split-KV partials, split-K partials, device-side plans. Ops of a stream run one after
/// another, so one piece serves all; nothing in it survives the op.
inline constexpr size_t kWorkspaceBytes = 256u << 20;
/// Words that are zero when an op starts and that it leaves zero: arrival counters, semaphores.
inline constexpr int kCounters = 65536;

struct CudaContext {
  cudaStream_t stream;
  std::byte* workspace;     // device memory, aligned to 256; ops take parts of it: cuda/workspace.h
  int64_t workspace_bytes;  // kWorkspaceBytes; tests take less
  uint32_t* counters;       // device memory
  int32_t num_counters;     // kCounters; tests take fewer
  FaultRecord* fault;       // device memory
  int num_sms;
  int compute_capability;       // 10 * major + minor: 80, 86, 89, 90
  const KernelChoice* kernels;  // which ones WARPLOOP_KERNEL asks for
  /// Kernels may start before those before them have ended (cuda/device/predecessors.cuh), where they can.
  bool overlaps = false;
#ifdef WARPLOOP_SIMT
  /// Where parts of the workspace lie instead; null: in the workspace.
  simt::runtime::WorkspaceParts* parts = nullptr;
  /// Of a part of an op (cuda/gemm/coded_schedule.h): what the op has taken before stays.
  bool keeps_parts = false;
#endif

  /// Of the command that runs now: `choose` and `launch` write it.
  mutable CommandNote note;

  /// The site that kernels of `op` report to; `text` is a literal.
  FaultSite fault_site(OpId op, const char* text) const { return {fault, name_of(op), text}; }
};

}  // namespace warploop::cuda
