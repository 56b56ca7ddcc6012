// The kernels of one op in order of preference, each with what keeps it from being used.
#pragma once
#ifdef WARPLOOP_SIMT
#include <string>

#include "core/error.h"
#endif
#include "cuda/cuda_context.h"

namespace warploop::cuda {

/// `refuse` returns null, or why this kernel cannot run `params` here ("Dh is not 64 or 128"). The last one
/// of an op's table refuses nothing that `check` lets pass.
template <class Params>
struct Candidate {
  const char* name;
  const char* (*refuse)(const Params& params, const CudaContext& context);
  void (*run)(const Params& params, CudaContext& context);
};

#ifdef WARPLOOP_SIMT
/// For tests: the kernel that has to be taken by ops whose table has one of that name. Empty: none.
std::string& forced_kernel();
#endif

/// The first candidate that does not refuse; its name is noted for a trace.
template <class Params, int n>
const Candidate<Params>& choose(const Candidate<Params> (&candidates)[n], const Params& params,
                                const CudaContext& context) {
#ifdef WARPLOOP_SIMT
  for (const Candidate<Params>& candidate : candidates) {
    if (forced_kernel() != candidate.name) continue;
    const char* reason = candidate.refuse ? candidate.refuse(params, context) : nullptr;
    if (reason) fail_execution("the kernel ", candidate.name, " cannot run this: ", reason);
    context.note.kernel = candidate.name;
    return candidate;
  }
#endif
  int i = 0;
  while (i < n - 1 && candidates[i].refuse(params, context)) i++;
  context.note.kernel = candidates[i].name;
  return candidates[i];
}

}  // namespace warploop::cuda
