// The kernels of one op in order of preference, each with what keeps it from being used.
#pragma once
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

/// The first candidate that does not refuse.
template <class Params, int n>
const Candidate<Params>& choose(const Candidate<Params> (&candidates)[n], const Params& params,
                                const CudaContext& context) {
  for (int i = 0; i < n - 1; i++) {
    if (!candidates[i].refuse(params, context)) return candidates[i];
  }
  return candidates[n - 1];
}

}  // namespace warploop::cuda
